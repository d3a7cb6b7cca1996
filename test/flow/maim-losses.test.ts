import t from 'tap'
import { startApp } from '../helpers/app.ts'
import { messageFor, openMaimPeer } from '../helpers/maim-peer.ts'
import { waitFor } from '../helpers/wait.ts'

const TOTAL = 10_000
const PAIRS = 4
const keys = Array.from({ length: PAIRS * 2 }, (_, index) => ({
  api_key: `key-${index}`,
  account: 10001 + (index % 2),
  chats: false
}))

t.test(`${TOTAL} messages between peers on bad lines all arrive, once each`, async (t) => {
  const app = await startApp(t, { config: { maim: { keys }, limits: { maim_repeat: 150, frame_rate: 1_000_000 } } })
  const url = `${app.ws}/maim/ws`
  /** By receiver: the messages by their words, under the ids by which they came. */
  const heard = Array.from({ length: PAIRS }, () => new Map<string, Set<string>>())
  const receivers = heard.map((words, index) =>
    openMaimPeer(t, {
      url,
      apiKey: `key-${index * 2}`,
      platform: `to-${index}`,
      uuid: `receiver-${index}`,
      lossOfAcks: 0.2,
      onEnvelope({ msg_id, payload }) {
        const { data } = (payload as { message_segment: { data: string } }).message_segment
        const ids = words.get(data) ?? new Set()
        words.set(data, ids.add(String(msg_id)))
      }
    })
  )
  const senders = heard.map((_, index) =>
    openMaimPeer(t, { url, apiKey: `key-${index * 2 + 1}`, platform: 'from', uuid: `sender-${index}` })
  )
  await Promise.all([...receivers, ...senders].map(({ opened }) => opened))

  const peers = [...receivers, ...senders]
  let kills = 0
  const killing = setInterval(() => {
    peers[Math.floor(Math.random() * peers.length)]?.kill()
    kills++
  }, 40)
  t.teardown(() => clearInterval(killing))

  /** As many at a time as a busy adapter has; the next begins when one is acknowledged. */
  async function keepSending(index: number): Promise<void> {
    const pair = index % PAIRS
    for (let number = index; number < TOTAL; number += PAIRS * 32) {
      // Ids of milliseconds, as the library of 0.6.4 makes them, are alike for what is sent at once.
      const message = messageFor(`key-${pair * 2}`, `to-${pair}`, `words ${number}`)
      await senders[pair]?.deliver(`msg_${number}`, message)
    }
  }
  await Promise.all(Array.from({ length: PAIRS * 32 }, (_, index) => keepSending(index)))
  clearInterval(killing)
  await waitFor(() => heard.reduce((sum, words) => sum + words.size, 0) === TOTAL)

  t.ok(kills > 5, `${kills} connections were cut`)
  t.equal(
    heard.reduce((sum, words) => sum + words.size, 0),
    TOTAL
  )
  const doubled = heard.flatMap((words) => [...words.values()].filter((ids) => ids.size > 1))
  t.strictSame(doubled, [], 'what came again came under its id')
  for (const [index, words] of heard.entries())
    t.ok(
      [...words.keys()].every((text) => Number(text.slice(6)) % PAIRS === index),
      'and to whom it was for'
    )
})
