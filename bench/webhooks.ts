import { startBare } from './lib/bare-limit.ts'
import type { Posting } from './lib/bare.ts'
import type { Bench } from './lib/bench.ts'
import { measure } from './lib/child.ts'
import { openWebhookRoom } from './lib/webhook-room.ts'

const TARGETS = 8
/** As many as the service opens to one receiver. */
const CONNECTIONS = 8
/** Messages that are not delivered everywhere yet. */
const WINDOW = 128

export const webhooks: Bench = {
  name: 'webhooks',
  what: `webhook deliveries to ${TARGETS} targets, from 32 groups`,
  figure: 'perSecond',
  goals: [{ figure: 'ratio', atLeast: 0.7, says: '≥ 0.7 × bare undici' }],
  async prepare() {
    const room = await openWebhookRoom({ bots: 1, targets: TARGETS, window: WINDOW })
    const bare = startBare()
    const post = (what: 'post' | 'postNaively', seconds: number) => () => {
      const posting: Posting = { urls: room.urls, body: room.lastBody(), connections: CONNECTIONS, seconds }
      const begunAt = performance.now()
      return bare.ask<number>(what, posting).then((count) => ({ count, elapsedMs: performance.now() - begunAt }))
    }
    return {
      service: (seconds) => measure(room.child, () => room.load(seconds)),
      bare: (seconds) => measure(bare, post('post', seconds)),
      naive: (seconds) => measure(bare, post('postNaively', seconds)),
      async close() {
        await Promise.all([room.close(), bare.stop()])
      }
    }
  }
}
