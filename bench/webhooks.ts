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
  goals: [
    {
      figure: 'ratio',
      atLeast: 0.7,
      says: '≥ 0.7 × bare undici',
      inTheWay:
        'Beside what undici needs for a request, each delivery is signed (4 µs), made from an event of the log and kept in order within its chat, and its end is written down so that it survives `kill -9`; the event loop waits for the disk for a tenth of the time. The bare limit does none of it. Deliveries whose progress lives in memory alone would come near the goal, and are not what is promised.'
    }
  ],
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
