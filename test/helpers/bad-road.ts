import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'

/** Numbers from 0 to 1 that are the same in every run (Park and Miller). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

export interface BadRoad {
  readonly url: string
  readonly lost: () => number
  readonly killed: () => number
}

export interface BadRoadOptions {
  /** The share of acknowledgements that are lost, in either direction. */
  readonly loss: number
  /** The share of frames at which the connection is cut. */
  readonly kill: number
  /** Called with each frame, before it is known what becomes of it. */
  readonly onFrame?: (text: string, to: 'client' | 'server', isLost: boolean) => void
}

/** Between a maim client and its server: loses acknowledgements, and cuts connections without a word. */
export async function startBadRoad(t: Test, to: string, options: BadRoadOptions): Promise<BadRoad> {
  const { loss, kill, onFrame = () => {} } = options
  const random = createRandom(42)
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  let lost = 0
  let killed = 0
  server.on('connection', (near: WebSocket, { headers }: IncomingMessage) => {
    const wanted = Object.entries(headers).filter(([name]) => name.startsWith('x-')) as [string, string][]
    const far = new WebSocket(to, { headers: Object.fromEntries(wanted) })
    const ends = [near, far]
    const cut = (): void => ends.forEach((socket) => socket.terminate())
    const early: string[] = []
    function pass(text: string, out: WebSocket): void {
      const isLost = text.includes('"type":"sys_ack"') && random() < loss
      onFrame(text, out === near ? 'client' : 'server', isLost)
      if (isLost) return void lost++
      if (random() < kill) {
        killed++
        return cut()
      }
      if (out.readyState === WebSocket.OPEN) out.send(text)
      else if (out === far && out.readyState === WebSocket.CONNECTING) early.push(text)
    }
    far.on('open', () => early.forEach((text) => far.send(text)))
    near.on('message', (data) => pass(String(data), far))
    far.on('message', (data) => pass(String(data), near))
    for (const socket of ends) socket.on('error', () => {}).on('close', cut)
  })
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `ws://127.0.0.1:${port}/ws`, lost: () => lost, killed: () => killed }
}
