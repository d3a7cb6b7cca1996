import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { WebSocketServer } from 'ws'
import { text, world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { startService, type Service } from '../helpers/service.ts'
import { startWebhook } from '../helpers/webhook.ts'

const KILLS = 3
const SENDS = 1000
const IN_FLIGHT = 32

void t.test('what was answered survives kill -9, and reaches every receiver', { timeout: 110_000 }, async (t) => {
  const hook = await startWebhook(t)
  const reverse = await startReverseBot(t)
  const [one, two] = world.bots
  const bots = [one, { ...two, webhooks: [{ url: hook.url }], reverse_ws: [{ url: reverse.url }] }]
  const cwd = makeDirectory(t, { ...world, bots, log: { level: 'error' } })

  const answered = new Map<string, string>()
  for (let round = 1; round <= KILLS; round++) {
    const service = await startService(t, cwd)
    const before = answered.size
    await sendUntilKilled(service, round, answered)
    const count = answered.size - before
    t.ok(count > 0 && count < SENDS, `killed in the middle of it: ${count} of ${SENDS} sends were answered`)
  }

  const service = await startService(t, cwd)
  const last = await sendOne(service.url, 'the last one')
  answered.set(last, 'the last one')

  const history = await readHistory(service.url)
  t.strictSame(missing(answered, history), [], 'every send that was answered is in the history')
  t.strictSame(
    [...history.keys()],
    Array.from(history, (_, index) => `Group:100001:${index + 1}`),
    'the places in the chat have no holes'
  )

  // Each receiver is told in the order of the chat, so nothing is missing once the last one is there.
  const told = new Map<string, string>()
  const idOf = new Map<string, Set<string>>()
  while (!told.has(last)) {
    const { headers, body } = await hook.next()
    const { message_id, segments } = body.data
    told.set(message_id, segments[0].data.text)
    idOf.set(message_id, (idOf.get(message_id) ?? new Set()).add(String(headers['webhook-id'])))
  }
  t.strictSame(missing(history, told), [], 'the webhook was told of all of them')
  t.strictSame(
    [...idOf].filter(([, ids]) => ids.size !== 1),
    [],
    'under one webhook-id each'
  )
  t.equal(new Set([...idOf.values()].flatMap((ids) => [...ids])).size, told.size, 'that no other message has')
  await reverse.heard(last)
  t.strictSame(missing(history, reverse.told), [], 'the reverse bot was told of all of them')

  t.strictSame(await service.kill('SIGTERM'), { code: 0, signal: null })
  const db = new DatabaseSync(join(cwd, 'data', 'lactea.db'), { readOnly: true })
  t.strictSame(db.prepare('pragma integrity_check').all(), [{ __proto__: null, integrity_check: 'ok' }])
  db.close()
})

/** Sends with several calls under way until the service dies in the middle; notes what was answered. */
async function sendUntilKilled(service: Service, round: number, answered: Map<string, string>): Promise<void> {
  const agent = new Agent({ connections: IN_FLIGHT })
  let next = 0
  let count = 0
  let isKilled = false

  async function work(): Promise<void> {
    while (next < SENDS && !isKilled) {
      const words = `round ${round}, message ${++next}`
      const id = await sendOne(service.url, words, agent).catch((err: unknown) => {
        // Who was killed answers nobody; before that every send must succeed.
        if (!isKilled) throw err
      })
      if (id === undefined) return
      answered.set(id, words)
      if (++count < SENDS / 2 || isKilled) continue
      isKilled = true
      void service.kill('SIGKILL')
    }
  }

  await Promise.all(Array.from({ length: IN_FLIGHT }, work))
  await service.exited
  await agent.destroy()
}

async function sendOne(url: string, words: string, dispatcher?: Agent): Promise<string> {
  const { data } = await call(url, 'send_group_message', { group_id: 100001, message: text(words) }, dispatcher)
  return data.message_id
}

async function call(url: string, api: string, params: object, dispatcher?: Agent): Promise<any> {
  const response = await request(`${url}/${api}`, {
    method: 'POST',
    headers: { authorization: 'Bearer token-one', 'content-type': 'application/json' },
    body: JSON.stringify(params),
    ...(dispatcher && { dispatcher })
  })
  const body = (await response.body.json()) as { status: string; message?: string }
  if (body.status !== 'ok') throw new Error(`${api} failed: ${body.message}`)
  return body
}

/** Every message of the group by its id, the oldest first. */
async function readHistory(url: string): Promise<Map<string, string>> {
  const pages: [string, string][][] = []
  let start: string | undefined
  do {
    const params = { group_id: 100001, limit: 30, ...(start !== undefined && { start_message_id: start }) }
    const { data } = await call(url, 'get_history_group_message', params)
    pages.unshift(
      data.messages.map(({ message_id, segments }: any): [string, string] => [message_id, segments[0].data.text])
    )
    start = data.next_start_message_id
  } while (start !== undefined)
  return new Map(pages.flat())
}

/** Entries of `wanted` that `found` does not have, or has otherwise. */
function missing(wanted: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): [string, string][] {
  return [...wanted].filter(([id, words]) => found.get(id) !== words)
}

/** A bot that the gateway dials, as often as it likes. */
async function startReverseBot(t: Test) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  await once(server, 'listening')
  const told = new Map<string, string>()
  let wake = (): void => {}
  server.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (frame) => {
      const { data } = JSON.parse(String(frame))
      if (data.event_type !== 'message_receive') return
      told.set(data.data.message_id, data.data.segments[0].data.text)
      wake()
    })
  })

  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    told,
    async heard(messageId: string): Promise<void> {
      while (!told.has(messageId)) await new Promise<void>((resolve) => (wake = resolve))
    }
  }
}
