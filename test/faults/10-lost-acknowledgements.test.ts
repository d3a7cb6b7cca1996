import { makeDirectory } from '../helpers/directory.ts'
import { startBadRoad } from '../helpers/bad-road.ts'
import { messageFor, openMaimPeer } from '../helpers/maim-peer.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'

/** Milliseconds until a message that nobody has acknowledged is sent again, the second and the third time. */
const REPEAT_MS = [200, 600, 1800] as const
/** How long a redelivery may be under way on a machine that has other work. */
const SLACK_MS = 1000
const AT_ONCE = 64

fault({
  number: 10,
  title: 'lost acknowledgements',
  mark: "Ack lost (proxy drops acks 20 %): each redelivered within its timeout, **≤ 1** effect after the client's dedupe, 10 000/10 000.",
  async run({ t, size, figure }) {
    const total = size(500, 10_000)
    const keys = ['sender', 'receiver'].map((api_key, index) => ({ api_key, account: 10001 + index, chats: false }))
    const service = await startService(
      t,
      makeDirectory(t, {
        bots: keys.map(({ account }) => ({ id: account, access_token: `token-of-bot-${account}` })),
        maim: { keys },
        limits: { maim_repeat: REPEAT_MS[0], frame_rate: 1_000_000 }
      })
    )
    /** By message: when its acknowledgement was lost, and how often that has happened. */
    const lost = new Map<string, { at: number; times: number }>()
    const redelivered = { count: 0, late: 0, slowest: 0 }

    const road = await startBadRoad(t, `${service.ws}/maim/ws`, {
      loss: 0.2,
      kill: 0,
      onFrame(text, to, isLost) {
        if (to === 'client') return noteDelivery(idOf(text))
        if (!isLost) return
        const [, id = ''] = /"acked_msg_id":"([^"]+)"/.exec(text) ?? []
        lost.set(id, { at: performance.now(), times: (lost.get(id)?.times ?? 0) + 1 })
      }
    })

    function noteDelivery(id: string): void {
      const entry = lost.get(id)
      if (!entry || entry.at === 0) return
      const tookMs = performance.now() - entry.at
      redelivered.count++
      redelivered.slowest = Math.max(redelivered.slowest, tookMs)
      if (tookMs > (REPEAT_MS[entry.times - 1] ?? REPEAT_MS[2]) + SLACK_MS) redelivered.late++
      entry.at = 0
    }

    // What a program does about a message; it remembers the ids, as the contract asks of it.
    const seen = new Set<string>()
    const effects = new Map<string, number>()
    const receiver = openMaimPeer(t, {
      url: road.url,
      apiKey: 'receiver',
      platform: 'there',
      onEnvelope({ msg_id, payload }) {
        if (seen.has(String(msg_id))) return
        seen.add(String(msg_id))
        const { data } = (payload as { message_segment: { data: string } }).message_segment
        effects.set(data, (effects.get(data) ?? 0) + 1)
      }
    })
    const sender = openMaimPeer(t, { url: `${service.ws}/maim/ws`, apiKey: 'sender', platform: 'here' })
    await Promise.all([receiver.opened, sender.opened])

    async function keepSending(index: number): Promise<void> {
      for (let number = index; number < total; number += AT_ONCE)
        await sender.deliver(`msg_${number}`, messageFor('receiver', 'there', `words ${number}`))
    }
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => keepSending(index)))
    await waitFor(() => effects.size === total, 'all messages')
    await waitFor(() => [...lost.values()].every(({ at }) => at === 0), 'every redelivery')

    figure('acknowledgements that were lost', road.lost(), { atLeast: total / 10 })
    figure('redelivered', redelivered.count, { is: road.lost() })
    figure('of these later than the timeout', redelivered.late, { is: 0, isTimed: true })
    figure('messages with an effect', effects.size, { is: total })
    figure('messages with more than one', [...effects.values()].filter((times) => times > 1).length, { is: 0 })
    t.comment(`the slowest redelivery came after ${Math.round(redelivered.slowest)} ms`)
  }
})

function idOf(text: string): string {
  const [, id = ''] = /"msg_id":"([^"]+)"/.exec(text) ?? []
  return id
}
