import assert from 'node:assert/strict'
import { once } from 'node:events'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { Running } from '../helpers/app.ts'
import { alice, bob, carol, startPeople } from '../helpers/people.ts'

// Whatever people do on several devices, and however often their connections break, every client ends up with what the
// database says. Clients know nothing but the protocol.

interface Client {
  readonly accountId: number
  readonly connect: () => Promise<void>
  readonly cut: () => Promise<void>
  readonly send: (frame: object) => void
  /** Waits for a ping: what came before its pong must not come again. */
  readonly settle: () => Promise<void>
  /** Everything that was asked for until now has been answered and told. */
  readonly flush: () => Promise<void>
  readonly view: (chatId: number) => Map<number, string>
  /** Lets it know a chat in which nothing has happened yet. */
  readonly learn: (chatId: number) => void
  readonly faults: string[]
}

/** A client of the document alone, or, with `isExt`, one that knows the extension profile and catches up by `sync`. */
function createClient(app: Running, accountId: number, token: string, isExt: boolean): Client {
  const views = new Map<number, Map<number, string>>()
  const deleted = new Set<number>()
  const known = new Map<number, number>()
  const faults: string[] = []
  /** Messages that have come, and those of them that a pong has confirmed. */
  const heard = new Set<number>()
  const confirmed = new Set<number>()
  const waiting = new Map<string, () => void>()
  let socket: WebSocket | undefined
  let count = 0

  const viewOf = (chatId: number): Map<number, string> => {
    const view = views.get(chatId) ?? new Map<number, string>()
    views.set(chatId, view)
    return view
  }

  function follow(chatId: number, { event_seq, prev_event_seq }: { event_seq: number; prev_event_seq: number }): void {
    const last = known.get(chatId) ?? 0
    if (prev_event_seq > last) faults.push(`a hole in ${chatId}: ${prev_event_seq} after ${last}`)
    if (event_seq <= last) faults.push(`${event_seq} of ${chatId} came again`)
    known.set(chatId, event_seq)
  }

  function take({ type, payload, x }: any, isSynced = false): void {
    const chatId = payload.message?.chat_id ?? payload.chat_id
    if (isExt && x?.event_seq !== undefined && !isSynced) {
      // What comes before the answer to `sync` comes again in it.
      if (waiting.has('sync')) return
      follow(chatId, x)
    }
    if (type === 'message.new') {
      const { id, content } = payload.message
      if (!isExt && confirmed.has(id)) faults.push(`message ${id} came again after its pong`)
      heard.add(id)
      if (!deleted.has(id)) viewOf(chatId).set(id, content)
    }
    if (type === 'message.edit') {
      const { id, content } = payload.message
      if (!viewOf(chatId).has(id) && !deleted.has(id)) faults.push(`message ${id} was edited before it came`)
      if (!deleted.has(id)) viewOf(chatId).set(id, content)
    }
    if (type === 'message.delete') {
      deleted.add(payload.message_id)
      viewOf(chatId).delete(payload.message_id)
    }
    if (type === 'sync.reset') faults.push(`reset of ${chatId}`)
    if (type === 'sync.result')
      for (const { chat, to, events } of payload.chats) {
        for (const event of events) take(event, true)
        known.set(chat.id, to)
      }
    if (type === 'pong') waiting.get(payload.timestamp)?.()
    if (type === 'sync.done') waiting.get('sync')?.()
    if (type === 'error' && payload.error_code !== 'NOT_FOUND') faults.push(JSON.stringify(payload))
  }

  const answered = (key: string): Promise<void> =>
    new Promise((resolve) => {
      waiting.set(key, () => {
        waiting.delete(key)
        resolve()
      })
    })

  return {
    accountId,
    faults,
    view: viewOf,
    learn: (chatId) => known.set(chatId, 0),
    async connect() {
      if (socket) return
      const next = new WebSocket(`${app.ws}/ws?token=${token}${isExt ? '&ext=1' : ''}`)
      next.on('error', () => {})
      next.on('message', (data) => {
        // What still arrives on a connection that was given up is of no concern.
        if (next === socket) take(JSON.parse(String(data)))
      })
      next.on('ping', () => {
        if (next === socket) for (const id of heard) confirmed.add(id)
      })
      socket = next
      // Before it opens: the first events may come in one packet with the handshake.
      const isSynced = isExt ? answered('sync') : undefined
      await once(next, 'open')
      if (!isSynced) return
      next.send(JSON.stringify({ type: 'sync', payload: { known: Object.fromEntries(known) } }))
      await isSynced
    },
    async cut() {
      if (!socket) return
      const old = socket
      socket = undefined
      old.terminate()
      await once(old, 'close')
    },
    send: (frame) => socket?.send(JSON.stringify(frame)),
    async settle() {
      if (socket) await once(socket, 'ping')
    },
    async flush() {
      for (let times = 0; times < 2; times++) {
        const mark = `mark ${++count}`
        const isAnswered = answered(mark)
        socket?.send(JSON.stringify({ type: 'ping', payload: { timestamp: mark } }))
        await isAnswered
      }
    }
  }
}

interface Step {
  readonly type: 'send' | 'edit' | 'delete' | 'read' | 'cut' | 'connect' | 'settle'
  readonly device: number
  /** Which of the messages that the device knows. */
  readonly pick: number
}

const DEVICES = 7
const step: fc.Arbitrary<Step> = fc.record({
  type: fc.constantFrom('send', 'send', 'send', 'edit', 'edit', 'delete', 'read', 'cut', 'connect', 'settle'),
  device: fc.integer({ min: 0, max: DEVICES - 1 }),
  pick: fc.nat(5)
})

async function openClients(t: Test, app: Running): Promise<Client[]> {
  const devices: [accountId: number, name: string, isExt: boolean][] = [
    [alice, 'alice', false],
    [alice, 'alice', false],
    [alice, 'alice', true],
    [bob, 'bob', false],
    [bob, 'bob', true],
    [carol, 'carol', false],
    [carol, 'carol', true]
  ]
  const clients: Client[] = []
  // Each device has a session of its own, as real ones do.
  for (const [accountId, name, isExt] of devices)
    clients.push(createClient(app, accountId, await app.signIn(name, `${name}-secret`), isExt))
  t.teardown(() => Promise.all(clients.map((client) => client.cut())))
  return clients
}

void t.test('every device ends up with what the database says', async (t) => {
  const plenty = 1_000_000
  const app = await startPeople(t, {
    limits: {
      im_ping: 30,
      im_frame_rate: plenty,
      im_frame_burst: plenty,
      im_message_rate: plenty,
      im_message_burst: plenty,
      im_chat_rate: plenty,
      im_read_rate: plenty,
      im_read_burst: plenty,
      im_user_connects: plenty,
      im_address_connects: plenty,
      upgrade_rate: plenty
    }
  })
  const { store } = app.lactea.gateway
  const clients = await openClients(t, app)

  async function take(chatId: number, { type, device, pick }: Step, index: number): Promise<void> {
    const client = clients[device] as Client
    if (type === 'cut') return client.cut()
    if (type === 'connect') return client.connect()
    if (type === 'settle') return client.settle()
    const known = [...client.view(chatId).keys()]
    const message_id = known[pick % Math.max(1, known.length)]
    if (type === 'send')
      return client.send({ type: 'message.send', payload: { chat_id: chatId, content: `words ${index}` } })
    if (message_id === undefined) return
    if (type === 'read') return client.send({ type: 'message.read', payload: { message_id } })
    const message = await store.findMessageById(message_id)
    // Others' messages are refused, which is tested elsewhere.
    if (message?.senderId !== client.accountId) return
    if (type === 'delete') return client.send({ type: 'message.delete', payload: { message_id } })
    client.send({ type: 'message.edit', payload: { message_id, content: `edited ${index}` } })
  }

  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const group = await store.addGroup({
        name: 'A run',
        ownerId: 10001,
        adminIds: [],
        memberIds: [alice, bob, carol],
        createdAt: 1_700_000_000
      })
      for (const client of clients) {
        client.faults.length = 0
        client.learn(group.id)
        await client.connect()
      }
      for (const [index, next] of steps.entries()) await take(group.id, next, index)
      // Twice: what the last ones say on the way is heard by the first ones too.
      for (const client of clients) await client.connect()
      for (let times = 0; times < 2; times++) for (const client of clients) await client.flush()

      const stored = await store.listMessages({ chatId: group.id, limit: 1000 })
      const truth = stored.map(({ id, segments: [first] }) => [id, first?.type === 'text' ? first.text : ''])
      for (const [index, client] of clients.entries()) {
        assert.deepEqual(client.faults, [], `device ${index}`)
        assert.deepEqual(
          [...client.view(group.id)].toSorted(([a], [b]) => a - b),
          truth,
          `device ${index}`
        )
      }
    }),
    { numRuns: 150, interruptAfterTimeLimit: 12_000 }
  )
})
