import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { CloseReason } from './dialer.ts'

/** How long a peer may take to answer our close frame. */
const CLOSE_GRACE_MS = 2000

/** Closes a connection; resolves when it is over. */
export function closeSocket(socket: WebSocket, { code, reason }: CloseReason): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === WebSocket.CLOSED) return resolve()
    const timer = setTimeout(() => socket.terminate(), CLOSE_GRACE_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.close(code, reason)
  })
}

/** Answers a handshake with HTTP instead of an upgrade. `status` is code and phrase, `detail` a sentence for people. */
export function refuseUpgrade(stream: Duplex, status: string, detail: string): void {
  const body = JSON.stringify({ detail })
  stream.on('error', () => stream.destroy())
  stream.once('finish', () => stream.destroy())
  stream.end(
    [
      `HTTP/1.1 ${status}`,
      'Connection: close',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body
    ].join('\r\n')
  )
}
