import { join } from 'node:path'
import { openSqliteStore } from '../../src/store/index.ts'
import { text } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { startOperated, type Operated } from '../helpers/operator.ts'
import { withSecondBot } from '../helpers/socket-suite.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'

fault({
  number: 14,
  title: 'a thousand dead deliveries are sent again, with double clicks',
  mark: 'Replay of 1 000 dead deliveries from the console: each gets a new attempt id, same webhook-id, 0 sent twice by a double click.',
  async run({ t, size, figure }) {
    const count = size(100, 1000)
    const hook = await startWebhook(t)
    const dir = makeDirectory(t)
    const config = {
      bots: withSecondBot({ webhooks: [{ url: hook.url, events: ['message_receive'] }] }),
      limits: { webhook_attempts: 10_000, login_rate: 1000, sign_in_rate: 1000 }
    }
    const first = await startOperated(t, { dir, config })
    const id = await onlyWebhook(first)
    await first.post(`webhooks/${id}/pause`, { reason: 'so that nothing is delivered yet' })
    const eventIds = await sayMuch(first, count)
    await first.app.lactea.app.close()
    await bury(join(dir, 'data', 'lactea.db'), id, eventIds)

    const { get, post } = await startOperated(t, { dir, config })
    t.match((await get(`webhooks/${id}`)).body, { webhook: { state: 'paused', dead: count, waiting: 0 } })
    t.equal((await get(`webhooks/${id}/deliveries?limit=500`)).body.deliveries.length, Math.min(count, 500))
    await post(`webhooks/${id}/resume`)
    t.equal(hook.all.length, 0, 'what is dead stays so until it is asked for')

    const dead = (headers: Record<string, string> = {}) => post(`webhooks/${id}/replay`, { dead: true }, headers)
    const clicks = await Promise.all([
      dead(),
      dead(),
      dead({ 'idempotency-key': 'k' }),
      dead({ 'idempotency-key': 'k' })
    ])
    clicks.push(await dead(), await post('webhooks/replay', { dead: true }))
    const due = clicks.map(({ body }) => body.due as number)
    for (const { status, body } of clicks) t.equal(status, 200, body.error)
    figure('clicks that were answered', clicks.filter(({ status }) => status === 200).length, { is: 6 })
    t.equal(due[2], due[3], 'the same key gives the same answer')
    const keyed = due[2] ?? 0
    figure('due by all clicks', due.reduce((sum, one) => sum + one, 0) - keyed, { is: count })
    const areDone = async (): Promise<boolean> => {
      const { deliveries } = (await get(`webhooks/${id}/deliveries?state=waiting`)).body
      return deliveries.length === 0
    }
    await waitFor(areDone, 'all to be delivered')
    t.equal((await get(`webhooks/${id}`)).body.webhook.dead, 0)

    const seen = hook.all.map(({ headers }) => String(headers['webhook-id']))
    figure('delivered', new Set(seen).size, { is: count })
    figure('sent twice', seen.length - new Set(seen).size, { is: 0 })
    const wanted = new Set(eventIds.map((eventId) => `evt_${eventId}`))
    figure('under another id than before', seen.filter((one) => !wanted.has(one)).length, { is: 0 })

    const attempts = await readAttempts(get, id)
    figure('attempts with an id of their own', new Set(attempts.map((attempt) => attempt.id)).size, { is: count })
    t.strictSame(new Set(attempts.map((attempt) => attempt.webhook_id)), wanted)

    // What was delivered is sent again too when it is asked for, and by a double click once.
    let release = (): void => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    hook.answer((_delivered, response) => void held.then(() => response.writeHead(204).end()))
    const again = { from: eventIds[0], to: eventIds.at(-1) }
    const twice = await Promise.all([1, 2].map(() => post(`webhooks/${id}/replay`, again)))
    t.strictSame(
      twice.map(({ status }) => status),
      [200, 200]
    )
    release()
    await waitFor(areDone, 'all to be delivered again')
    figure('sent again', hook.all.length - count, { is: count })
  }
})

async function onlyWebhook({ get }: Operated): Promise<string> {
  const { webhooks } = (await get('webhooks')).body
  return webhooks[0].id
}

/** Gives the ids of the events. */
async function sayMuch({ app }: Operated, count: number): Promise<number[]> {
  const { store } = app.lactea.gateway
  const before = await store.lastEventId()
  for (let said = 0; said < count; said += 50) {
    const words = Array.from({ length: Math.min(50, count - said) }, (_, index) => `message ${said + index}`)
    const answers = await Promise.all(
      words.map((one) => app.call('token-one', 'send_group_message', { group_id: 100001, message: text(one) }))
    )
    for (const { retcode, message } of answers) if (retcode !== 0) throw new Error(message)
  }
  return Array.from({ length: count }, (_, index) => before + 1 + index)
}

/** As they are when all their tries are used up, after days. */
async function bury(path: string, targetId: string, eventIds: readonly number[]): Promise<void> {
  const store = await openSqliteStore({ path, isShort: true })
  const time = Math.floor(Date.now() / 1000)
  await store.saveProgress(targetId, () => ({
    cursor: eventIds.at(-1) ?? 0,
    ahead: [],
    failingSince: undefined,
    attempts: [],
    taken: 0,
    failed: 0,
    keepAttempts: 10_000,
    rows: eventIds.map((eventId) => ({
      type: 'put',
      eventId,
      chatId: 100001,
      state: 'dead',
      attempts: 10,
      nextAt: time,
      time
    }))
  }))
  await store.close()
}

async function readAttempts(get: Operated['get'], id: string): Promise<{ id: number; webhook_id: string }[]> {
  const all: { id: number; webhook_id: string }[] = []
  for (;;) {
    const before = all.at(-1)?.id
    const page = await get(`webhooks/${id}/attempts?limit=500${before === undefined ? '' : `&before=${before}`}`)
    if (page.body.attempts.length === 0) return all
    all.push(...page.body.attempts)
  }
}
