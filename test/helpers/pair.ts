import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'

/** Both ends of one WebSocket, and the TCP stream of the server's end; gone when the test ends. */
export async function openPair(
  t: Test,
  { autoPong = true } = {}
): Promise<{ server: WebSocket; client: WebSocket; stream: Socket }> {
  const listener = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(listener, 'listening')
  const connected = once(listener, 'connection')
  const client = new WebSocket(`ws://127.0.0.1:${(listener.address() as AddressInfo).port}`, { autoPong })
  t.teardown(() => {
    client.terminate()
    for (const socket of listener.clients) socket.terminate()
    listener.close()
  })
  const [[server, request]] = await Promise.all([connected, once(client, 'open')])
  return { server, client, stream: request.socket }
}
