import t from 'tap'
import { startBadRoad } from '../helpers/bad-road.ts'
import { waitFor } from '../helpers/wait.ts'
import { createClient, startServer, textOf, write } from './peers.ts'

t.test(
  '2 000 messages each way arrive once, though every fifth acknowledgement is lost and connections die at random',
  async (t) => {
    const COUNT = 2000
    const options = { repeatInterval: 0.05, messageCacheMaxSize: COUNT, pingInterval: 0 }
    const up: string[] = []
    const down: string[] = []
    const { server, url } = await startServer(t, {
      ...options,
      async onMessage(message) {
        // Some handlers are slower than others.
        if (up.length % 7 === 0) await new Promise(setImmediate)
        up.push(textOf(message))
      }
    })
    const road = await startBadRoad(t, url, { loss: 0.2, kill: 1 / 3000 })
    const client = createClient(t, road.url, { ...options, onMessage: (message) => void down.push(textOf(message)) })
    await waitFor(() => client.connect())
    await waitFor(() => server.getUserCount() === 1)

    for (let n = 0; n < COUNT; n++) {
      await waitFor(() => client.sendMessage(write(`up ${n}`)))
      await server.sendMessage(write(`down ${n}`))
      if (n % 20 === 0) await new Promise(setImmediate)
    }
    const isDone = (): boolean => client.getStats().cachedMessages + server.getStats().cachedMessages === 0
    await waitFor(isDone, 'every acknowledgement')

    const all = (direction: string): string[] => Array.from({ length: COUNT }, (_, n) => `${direction} ${n}`).toSorted()
    t.strictSame(up.toSorted(), all('up'))
    t.strictSame(down.toSorted(), all('down'))
    t.ok(road.lost() > COUNT / 10, `${road.lost()} acknowledgements were lost`)
    t.ok(road.killed() >= 5, `${road.killed()} connections were cut`)
    t.equal(client.getStats().messagesDropped + server.getStats().messagesDropped, 0)
    t.ok(server.getStats().duplicateMessagesIgnored > 0)
    t.ok(client.getStats().duplicateMessagesIgnored > 0)
  }
)

t.test('many clients at once, on one server', async (t) => {
  const heard = new Map<string, number>()
  const { server, url } = await startServer(t, { onMessage: (message) => server.sendMessage(message) })
  const clients = Array.from({ length: 50 }, (_, n) =>
    createClient(t, url, {
      apiKey: `key ${n}`,
      onMessage: ({ message_dim }) => void heard.set(message_dim.api_key, (heard.get(message_dim.api_key) ?? 0) + 1)
    })
  )
  t.ok((await Promise.all(clients.map((client) => client.connect()))).every(Boolean))
  for (let n = 0; n < 20; n++)
    await Promise.all(clients.map((client, index) => client.sendMessage(write(`${n}`, `key ${index}`))))
  await waitFor(() => [...heard.values()].reduce((sum, count) => sum + count, 0) === 1000)
  t.strictSame(new Set(heard.values()), new Set([20]), 'each has its own, and all of them')
})
