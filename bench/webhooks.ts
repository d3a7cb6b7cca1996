import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Bench } from './lib/bench.ts'
import { startBare } from './lib/bare-limit.ts'
import type { Posting } from './lib/bare.ts'
import { measure } from './lib/child.ts'
import { maskedFrame, openRawSocket, type RawSocket } from './lib/raw-socket.ts'
import { sender, startService } from './lib/service.ts'

const TARGETS = 8
/** As many as the service opens to one receiver. */
const CONNECTIONS = 8
/** Events of one chat are delivered one after another; several chats keep all connections busy. */
const GROUPS = Array.from({ length: 32 }, (_, index) => 100001 + index)
/** Messages that are not delivered everywhere yet. */
const WINDOW = 128
const receiverBot = { id: 10002, nickname: 'Receiver', access_token: 'bench-token-of-the-receiver-00000000' }
const TEXT = 'Each of these goes to every receiver. '.repeat(7)

const SENDS = GROUPS.map((group_id) =>
  maskedFrame(
    JSON.stringify({
      action: 'send_group_message',
      params: { group_id, message: [{ type: 'text', data: { text: TEXT } }] }
    })
  )
)

export const webhooks: Bench = {
  name: 'webhooks',
  what: `webhook deliveries to ${TARGETS} targets, from ${GROUPS.length} groups`,
  figure: 'perSecond',
  goals: [{ figure: 'ratio', atLeast: 0.7, says: '≥ 0.7 × bare undici' }],
  async prepare() {
    const receiver = await startReceiver()
    const urls = Array.from({ length: TARGETS }, (_, index) => `${receiver.url}/${index}`)
    const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
    const service = await startService({
      config: {
        bots: [sender, { ...receiverBot, webhooks: urls.map((url) => ({ url, secret })) }],
        provision: {
          groups: GROUPS.map((id) => ({ id, name: `Group ${id}`, owner: sender.id, members: [receiverBot.id] }))
        }
      }
    })
    const speaker = await openRawSocket(service.port, `/?access_token=${sender.access_token}`)
    const bare = startBare()
    return {
      service: (seconds) => measure(service.child, () => load(speaker, receiver, seconds)),
      bare: (seconds) =>
        measure(bare, async () => {
          const begunAt = performance.now()
          const posting: Posting = { urls, body: receiver.lastBody(), connections: CONNECTIONS, seconds }
          const count = await bare.ask<number>('post', posting)
          return { count, elapsedMs: performance.now() - begunAt }
        }),
      async close() {
        speaker.close()
        await Promise.all([service.child.stop(), bare.stop()])
        receiver.close()
      }
    }
  }
}

interface Receiver {
  readonly url: string
  onDelivery: () => void
  /** What came last: the bare client posts the same. */
  readonly lastBody: () => string
  readonly close: () => void
}

async function startReceiver(): Promise<Receiver> {
  let last = ''
  const server = createServer((request, response) => {
    request.setEncoding('utf8')
    let body = ''
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      last = body
      response.writeHead(204).end()
      receiver.onDelivery()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    onDelivery: () => {},
    lastBody: () => last,
    close() {
      server.close()
      server.closeAllConnections()
    }
  }
  return receiver
}

/** Keeps the window full, until the time is over and everything is delivered. */
async function load(speaker: RawSocket, receiver: Receiver, seconds: number) {
  const begunAt = performance.now()
  const deadline = begunAt + seconds * 1000
  let said = 0
  let count = 0

  await new Promise<void>((resolve) => {
    const say = (): void => speaker.write(SENDS[said++ % SENDS.length] as Buffer)
    receiver.onDelivery = () => {
      count++
      if (performance.now() < deadline) {
        if (said * TARGETS - count <= (WINDOW - 1) * TARGETS) say()
      } else if (count === said * TARGETS) {
        resolve()
      }
    }
    for (let each = 0; each < WINDOW; each++) say()
  })
  return { count, elapsedMs: performance.now() - begunAt }
}
