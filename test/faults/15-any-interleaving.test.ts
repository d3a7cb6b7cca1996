import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { WebSocket } from 'ws'
import type { Outcome } from '../../src/core/action.ts'
import { startApp, text, type Running } from '../helpers/app.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'

// Two bots and a person talk in a group, and both bots listen at `/event`, where they are cut off, come back, and sometimes go
// back to a place that they had left. Calls of bots carry keys and are asked for again.

const ONE = 10001
const TWO = 10002
const ALICE = 10011
const SPEAKERS = [ONE, TWO, ALICE] as const

interface Step {
  readonly type: 'send' | 'burst' | 'edit' | 'recall' | 'cut' | 'connect' | 'ack' | 'rewind' | 'turn'
  readonly actor: number
  readonly reader: number
  readonly pick: number
  /** Of few, so that many are used again. */
  readonly key: number
  /** Says something else under the key. */
  readonly isOther: boolean
}

const step: fc.Arbitrary<Step> = fc.record({
  type: fc.constantFrom(
    ...(['send', 'send', 'send', 'send', 'burst', 'edit', 'edit', 'recall', 'recall'] as const),
    ...(['cut', 'connect', 'connect', 'ack', 'ack', 'rewind', 'turn'] as const)
  ),
  actor: fc.constantFrom(...SPEAKERS),
  reader: fc.integer({ min: 0, max: 1 }),
  pick: fc.nat(20),
  key: fc.nat(3),
  isOther: fc.boolean()
})

interface Said {
  readonly seq: number
  readonly sender: number
  /** Everything that it has ever said, the latest last. */
  readonly words: string[]
  isRecalled: boolean
  /** Of messages of people. */
  readonly messageId: number | undefined
}

/** What has to be true, in the simplest words. */
function createModel() {
  const said: Said[] = []
  const log: { readonly kind: string; readonly message: Said }[] = []
  /** What was said under each key, and the place that it got. */
  const keys = new Map<string, { readonly words: string; readonly seq: number }>()

  return {
    said,
    keys,
    add(message: Omit<Said, 'isRecalled'>): void {
      assert.equal(message.seq, said.length + 1, 'the next place')
      const added = { ...message, isRecalled: false }
      said.push(added)
      log.push({ kind: 'message.created', message: added })
    },
    edit(message: Said, words: string): void {
      if (message.words.at(-1) === words) return
      message.words.push(words)
      log.push({ kind: 'message.edited', message })
    },
    recall(message: Said): void {
      if (message.isRecalled) return
      message.isRecalled = true
      log.push({ kind: 'message.recalled', message })
    },
    /** What is left of the log: of what was recalled nothing but that. */
    lines: () =>
      log.flatMap(({ kind, message: { seq, isRecalled } }) =>
        isRecalled && kind !== 'message.recalled' ? [] : [`${kind} ${seq}`]
      ),
    history: () => said.flatMap(({ seq, words, isRecalled }) => (isRecalled ? [] : [`${seq} ${words.at(-1)}`]))
  }
}

type Model = ReturnType<typeof createModel>

/** What a reader has kept: the place, and what it knows there. */
interface Place {
  readonly cursor: string
  readonly view: ReadonlyMap<number, string>
  readonly heard: ReadonlySet<string>
}

function createReader(app: Running, token: string, group: number) {
  let places: Place[] = []
  let view = new Map<number, string>()
  let heard = new Set<string>()
  let last: string | undefined
  let socket: WebSocket | undefined

  function take({ cursor, event_type, data }: any): void {
    assert.ok(!heard.has(cursor), `${cursor} came again`)
    heard.add(cursor)
    last = cursor
    if (data.peer_id !== group) return
    if (event_type === 'message_receive') view.set(data.message_seq, data.segments[0].data.text)
    if (event_type === 'message_recall') view.delete(data.message_seq)
  }

  function goTo({ view: knownView, heard: knownHeard }: Place): void {
    view = new Map(knownView)
    heard = new Set(knownHeard)
    last = undefined
  }

  const faults: unknown[] = []

  return {
    view: () => view,
    faults,
    async connect() {
      if (socket) return
      const place = places.at(-1)
      const next = new WebSocket(`${app.ws}/event?access_token=${token}&since=${place?.cursor ?? 'now'}`)
      socket = next
      next.on('error', () => {})
      next.on('message', (frame) => {
        if (next !== socket) return
        try {
          take(JSON.parse(String(frame)))
        } catch (err) {
          faults.push(err)
        }
      })
      const [{ headers }] = (await once(next, 'upgrade')) as [IncomingMessage]
      if (place) assert.equal(headers['lactea-resumed'], 'true')
      else places.push({ cursor: headers['lactea-cursor'] as string, view: new Map(), heard: new Set() })
    },
    /** What was not kept is forgotten with the connection. */
    cut() {
      socket?.terminate()
      socket = undefined
      const place = places.at(-1)
      if (place) goTo(place)
    },
    ack() {
      if (last !== undefined) places.push({ cursor: last, view: new Map(view), heard: new Set(heard) })
    },
    /** To a place where it was before; everything after it is new again. */
    rewind(pick: number) {
      places = places.slice(0, 1 + (pick % places.length))
      this.cut()
    }
  }
}

fault({
  number: 15,
  title: 'any interleaving keeps model and gateway alike',
  mark: 'Property test (fast-check, 10 000 runs): any interleaving of send, edit, recall, reconnect, ack, replay keeps model = gateway.',
  fullMs: 900_000,
  async run({ t, size, figure }) {
    const plenty = 100_000_000
    const limits = {
      http_rate: plenty,
      upgrade_rate: plenty,
      im_message_rate: plenty,
      im_message_burst: plenty,
      im_chat_rate: plenty
    }
    const app = await startApp(t, { config: { limits } })
    const { gateway } = app.lactea
    const { store } = gateway
    const runs = size(100, 10_000)
    let group = 200_000
    let replays = 0

    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        group++
        await store.addGroup({
          id: group,
          name: 'g',
          ownerId: ONE,
          adminIds: [],
          memberIds: [TWO, ALICE],
          createdAt: 1
        })
        const start = await store.lastEventId()
        const model = createModel()
        const readers = [createReader(app, 'token-one', group), createReader(app, 'token-two', group)] as const
        for (const reader of readers) await reader.connect()
        for (const [index, next] of steps.entries()) await take(next, index, model, readers)

        for (const reader of readers) await reader.connect()
        await sayAs(ALICE, 'the end', model)
        const end = model.said.length
        await waitFor(() => readers.every((reader) => reader.view().has(end) || reader.faults.length > 0))
        for (const [index, reader] of readers.entries()) {
          assert.deepEqual(reader.faults, [])
          const own = index === 0 ? ONE : TWO
          const wanted = model.said.filter(({ sender, isRecalled }) => sender !== own && !isRecalled)
          assert.deepEqual(
            [...reader.view().keys()].toSorted((a, b) => a - b),
            wanted.map(({ seq }) => seq)
          )
          for (const { seq, words } of wanted) assert.ok(words.includes(reader.view().get(seq) ?? ''))
          reader.cut()
        }
        assert.deepEqual(await readHistory(), model.history())
        const { events } = await store.readEvents(ONE, start, 1000)
        const ofGroup = events.filter(({ chat }) => chat.id === group)
        assert.deepEqual(
          ofGroup.map(({ kind, data }: any) => `${kind} ${data.seq ?? data.message.seq}`),
          model.lines()
        )
      }),
      { numRuns: runs, interruptAfterTimeLimit: size(60_000, 850_000) }
    )
    figure('runs', runs, { atLeast: size(100, 10_000) })
    figure('calls that were replays', replays, { atLeast: 1 })

    async function take(next: Step, index: number, model: Model, readers: readonly ReturnType<typeof createReader>[]) {
      const { type, actor, pick } = next
      const reader = readers[next.reader] as ReturnType<typeof createReader>
      if (type === 'turn') return new Promise<void>((resolve) => setImmediate(resolve))
      if (type === 'cut') return reader.cut()
      if (type === 'connect') return reader.connect()
      if (type === 'ack') return reader.ack()
      if (type === 'rewind') return reader.rewind(pick)
      if (type === 'send') return actor === ALICE ? sayAs(ALICE, `s${index}`, model) : sendKeyed([next], model)
      if (type === 'burst') {
        const others = [next, { ...next, key: (next.key + 1) % 4 }, next]
        return sendKeyed(
          others.map((one) => ({ ...one, actor: actor === ALICE ? ONE : actor })),
          model
        )
      }
      if (type === 'edit') return edit(model, pick, `e${index}`)
      return recall(model, actor, pick)
    }

    async function sayAs(actor: number, words: string, model: Model): Promise<void> {
      const params = { chat_id: group, content: words }
      const { seq, message_id } = dataOf(
        await gateway.dispatcher.dispatch('send_chat_message', params, { accountId: actor })
      )
      model.add({ seq, sender: actor, words: [words], messageId: message_id })
    }

    /** All at once. Under a key that was there before nothing is said; with other words it is a contradiction. */
    async function sendKeyed(orders: readonly Step[], model: Model): Promise<void> {
      const asked = orders.map(({ actor, key, isOther }) => {
        const words = `${isOther ? 'other' : 'words'} ${key}`
        return {
          actor,
          words,
          name: `${group} ${key}`,
          known: model.keys.get(`${actor} ${key}`),
          id: `${actor} ${key}`
        }
      })
      const answers = await Promise.all(
        asked.map(({ actor, words, name }) =>
          gateway.milky.dispatch(
            'send_group_message',
            { group_id: group, message: text(words) },
            { accountId: actor, idempotencyKey: name }
          )
        )
      )
      const fresh = new Map<number, { readonly actor: number; readonly words: string; readonly id: string }>()
      for (const [index, { actor, words, known, id }] of asked.entries()) {
        const answer = answers[index] as Outcome
        if (known && known.words !== words) {
          assert.equal(answer.ok ? 'ok' : answer.error.reason, 'conflict')
          continue
        }
        const { message_seq: seq } = dataOf(answer)
        if (answer.ok && answer.isReplay) replays++
        if (known) assert.equal(seq, known.seq)
        else fresh.set(seq, { actor, words, id })
      }
      for (const [seq, { actor, words, id }] of [...fresh].toSorted(([a], [b]) => a - b)) {
        model.add({ seq, sender: actor, words: [words], messageId: undefined })
        assert.ok(!model.keys.has(id), `${id} was said once`)
        model.keys.set(id, { words, seq })
      }
    }

    async function edit(model: Model, pick: number, words: string): Promise<void> {
      const own = model.said.filter(({ sender }) => sender === ALICE)
      const message = own[pick % Math.max(1, own.length)]
      if (!message) return
      const params = { message_id: message.messageId, content: words }
      const answer = await gateway.dispatcher.dispatch('edit_chat_message', params, { accountId: ALICE })
      if (message.isRecalled) return assert.equal(answer.ok ? 'ok' : answer.error.reason, 'not_found')
      dataOf(answer)
      model.edit(message, words)
    }

    async function recall(model: Model, actor: number, pick: number): Promise<void> {
      const message = model.said[pick % Math.max(1, model.said.length)]
      if (!message) return
      const params = { group_id: group, message_seq: message.seq }
      const answer = await gateway.dispatcher.dispatch('recall_group_message', params, { accountId: actor })
      const mayRecall = actor === message.sender || actor === ONE
      assert.equal(answer.ok ? 'ok' : answer.error.reason, mayRecall ? 'ok' : 'forbidden')
      if (mayRecall) model.recall(message)
    }

    async function readHistory(): Promise<string[]> {
      const found: string[] = []
      let start: number | undefined
      do {
        const params = { message_scene: 'group', peer_id: group, limit: 30, start_message_seq: start ?? null }
        const { messages, next_message_seq } = dataOf(
          await gateway.milky.dispatch('get_history_messages', params, { accountId: ONE })
        )
        found.unshift(...messages.map((message: any) => `${message.message_seq} ${message.segments[0].data.text}`))
        start = next_message_seq
      } while (start !== undefined)
      return found
    }
  }
})

function dataOf(outcome: Outcome): any {
  if (!outcome.ok) throw outcome.error
  return outcome.data
}
