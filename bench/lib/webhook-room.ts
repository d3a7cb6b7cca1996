import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Child, Load } from './child.ts'
import { maskedFrame, openRawSocket } from './raw-socket.ts'
import { sender, startService } from './service.ts'

export interface WebhookRoomOptions {
  readonly bots: number
  /** Webhooks of each bot. */
  readonly targets: number
  /** Messages that may be under way to some of them. */
  readonly window: number
}

/** A service with bots that have webhooks, all in the same groups, somebody who speaks there, and the receiver of it all. */
export interface WebhookRoom {
  readonly child: Child
  readonly urls: readonly string[]
  /** What came last. */
  readonly lastBody: () => string
  /** Keeps the window full for so long, then waits until all is delivered; counts deliveries. */
  readonly load: (seconds: number) => Promise<Load>
  readonly close: () => Promise<void>
}

/** Events of one chat are delivered one after another; several chats keep all connections busy. */
const GROUPS = Array.from({ length: 32 }, (_, index) => 100001 + index)
const TEXT = 'Each of these goes to every receiver. '.repeat(7)
const SENDS = GROUPS.map((group_id) =>
  maskedFrame(
    JSON.stringify({
      action: 'send_group_message',
      params: { group_id, message: [{ type: 'text', data: { text: TEXT } }] }
    })
  )
)

export async function openWebhookRoom({ bots, targets, window }: WebhookRoomOptions): Promise<WebhookRoom> {
  const receiver = await startReceiver()
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
  const hearers = Array.from({ length: bots }, (_, bot) => ({
    id: 10002 + bot,
    nickname: `Receiver ${bot}`,
    access_token: `bench-token-of-receiver-${bot}-00000000000000`,
    webhooks: Array.from({ length: targets }, (_unused, target) => ({
      url: `${receiver.url}/${bot}/${target}`,
      secret
    }))
  }))
  const members = hearers.map(({ id }) => id)
  const service = await startService({
    config: {
      bots: [sender, ...hearers],
      provision: { groups: GROUPS.map((id) => ({ id, name: `Group ${id}`, owner: sender.id, members })) }
    }
  })
  const speaker = await openRawSocket(service.port, `/?access_token=${sender.access_token}`)
  const perMessage = bots * targets

  async function load(seconds: number): Promise<Load> {
    const begunAt = performance.now()
    const deadline = begunAt + seconds * 1000
    let said = 0
    let count = 0
    await new Promise<void>((resolve) => {
      const say = (): void => speaker.write(SENDS[said++ % SENDS.length] as Buffer)
      receiver.onDelivery = () => {
        count++
        if (performance.now() < deadline) {
          if (said * perMessage - count <= (window - 1) * perMessage) say()
        } else if (count === said * perMessage) {
          resolve()
        }
      }
      for (let each = 0; each < window; each++) say()
    })
    return { count, elapsedMs: performance.now() - begunAt }
  }

  return {
    child: service.child,
    urls: hearers.flatMap(({ webhooks }) => webhooks.map(({ url }) => url)),
    lastBody: receiver.lastBody,
    load,
    async close() {
      speaker.close()
      await service.child.stop()
      receiver.close()
    }
  }
}

interface Receiver {
  readonly url: string
  onDelivery: () => void
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
