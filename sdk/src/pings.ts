import { WebSocket } from 'ws'

export interface PingOptions {
  readonly socket: WebSocket
  /** From one ping to the next. */
  readonly intervalMs: number
  /** How long the answer to one may take. */
  readonly timeoutMs: number
  /** Bytes that have come so far: while a large frame is on its way, no pong can come between its bytes. */
  readonly bytesRead?: () => number
  /** Called once: the peer has answered nothing. */
  readonly onSilent: () => void
}

/** Pings a socket from now until it closes. */
export function startPings({ socket, intervalMs, timeoutMs, bytesRead = () => 0, onSilent }: PingOptions): void {
  let deadline: NodeJS.Timeout | undefined
  let readAtPing = 0

  function look(): void {
    deadline = undefined
    const read = bytesRead()
    if (read === readAtPing) return onSilent()
    readAtPing = read
    deadline = setTimeout(look, timeoutMs)
  }
  const timer = setInterval(() => {
    if (socket.readyState !== WebSocket.OPEN || deadline) return
    readAtPing = bytesRead()
    socket.ping()
    deadline = setTimeout(look, timeoutMs)
  }, intervalMs)

  socket.on('pong', () => {
    clearTimeout(deadline)
    deadline = undefined
  })
  socket.once('close', () => {
    clearInterval(timer)
    clearTimeout(deadline)
  })
}
