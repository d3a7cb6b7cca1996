import type { Test } from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'
import type { TestClock } from '../helpers/clock.ts'
import { passToNextTry, stoppedClock } from '../helpers/retries.ts'
import { withSecondBot } from '../helpers/socket-suite.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook, type TestWebhook } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'

/** Seconds between the tries, as promised. */
const PROMISED = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
const HOUR_MS = 3_600_000

fault({
  number: 13,
  title: 'the schedule of retries',
  mark: 'Retry schedule with injected clock: each step within ±20 % jitter; Retry-After: 120 obeyed; 410 disables at once; 3xx never followed; after 120 h of failure disabled + operator event once.',
  async run({ t, size, figure }) {
    const runs = size(1, 10)
    let [steps, worst] = [0, 0]
    for (let run = 0; run < runs; run++) {
      for (const [index, pause] of (await pausesOf(t)).entries()) {
        steps++
        worst = Math.max(worst, Math.abs(pause / (PROMISED[index] ?? 0) - 1))
      }
    }
    figure('steps', steps / runs, { is: PROMISED.length })
    figure('furthest from its step', worst * 100, { atMost: 20, unit: '%' })
    figure('after Retry-After: 120', await restAfter(t, '120'), { is: 120, unit: 's' })
    figure('tries after 410', await triesAfterGone(t), { is: 1 })
    figure('redirects followed', await followed(t), { is: 0 })
    const { hours, entries, lines } = await giveUp(t)
    figure('disabled after', hours, { is: 120, unit: 'h' })
    figure('entries in the audit', entries, { is: 1 })
    figure('lines in the log', lines, { is: 1 })
  }
})

interface Stage {
  readonly app: Running
  readonly clock: TestClock
  readonly hook: TestWebhook
  readonly state: () => Promise<string | undefined>
  readonly say: () => Promise<unknown>
  readonly triesToBe: (count: number) => Promise<void>
}

async function open(t: Test, status: number, headers: Record<string, string> = {}): Promise<Stage> {
  const clock = stoppedClock()
  const hook = await startWebhook(t)
  hook.answer((_delivered, response) => void response.writeHead(status, headers).end())
  const bots = withSecondBot({ webhooks: [{ url: hook.url }] })
  const app = await startApp(t, { config: { bots }, clock, logLevel: 'error' })
  const { store } = app.lactea.gateway
  return {
    app,
    clock,
    hook,
    state: async () => (await store.listTargets())[0]?.state,
    say: () => app.call('token-one', 'send_group_message', { group_id: 100001, message: text('hello') }),
    // Counted when it is stored, so that the next one is planned.
    triesToBe: (count) =>
      waitFor(async () => (await store.listTargets())[0]?.failedCount === count, `${count} tries to be stored`)
  }
}

/** Seconds between the tries of one event, as the receiver sees them. */
async function pausesOf(t: Test): Promise<number[]> {
  const { app, clock, hook, say, triesToBe } = await open(t, 500)
  await say()
  const times: number[] = []
  for (let count = 1; count <= PROMISED.length + 1; count++) {
    await triesToBe(count)
    times.push(clock.now())
    if (count <= PROMISED.length) await passToNextTry(app, clock)
  }
  clock.advance(100 * HOUR_MS)
  t.match(await app.lactea.gateway.store.listTargets(), [{ waiting: 0, dead: 1 }], 'then it is dead')
  t.equal(hook.all.length, PROMISED.length + 1)
  await app.lactea.app.close()
  return times.slice(1).map((time, index) => time - (times[index] ?? 0))
}

async function restAfter(t: Test, retryAfter: string): Promise<number> {
  const { app, clock, hook, say, triesToBe } = await open(t, 429, { 'retry-after': retryAfter })
  await say()
  await triesToBe(1)
  const startedAt = clock.now()
  await passToNextTry(app, clock)
  await triesToBe(2)
  t.equal(hook.all.length, 2)
  return clock.now() - startedAt
}

async function triesAfterGone(t: Test): Promise<number> {
  const { clock, hook, say, state, triesToBe } = await open(t, 410)
  await say()
  await triesToBe(1)
  await waitFor(async () => (await state()) === 'disabled')
  await say()
  clock.advance(100 * HOUR_MS)
  return hook.all.length
}

async function followed(t: Test): Promise<number> {
  const other = await startWebhook(t)
  for (const status of [301, 302, 303, 307, 308]) {
    const { say, triesToBe } = await open(t, status, { location: other.url })
    await say()
    await triesToBe(1)
  }
  return other.all.length
}

async function giveUp(t: Test): Promise<{ hours: number; entries: number; lines: number }> {
  const { app, clock, say, state, triesToBe } = await open(t, 503)
  const { store } = app.lactea.gateway
  const startedAt = clock.now()
  await say()
  await say()
  await triesToBe(1)
  for (let tries = 2; (await state()) === 'active' && tries < 100; tries++) {
    const before = await failures(app)
    const { nextAt } = await passToNextTry(app, clock)
    if (nextAt < startedAt + 120 * 3600) await waitFor(async () => (await failures(app)) > before, 'the next try')
    else await waitFor(async () => (await state()) === 'disabled', 'it to be switched off')
  }
  clock.advance(200 * HOUR_MS)
  await say()
  const [target] = await store.listTargets()
  const isTold = ({ action }: { readonly action: string }): boolean => action === 'webhook.disable'
  await waitFor(async () => (await store.listAudit({ limit: 100 })).some(isTold), 'the audit')
  return {
    hours: ((target?.stateSince ?? 0) - startedAt) / 3600,
    entries: (await store.listAudit({ limit: 100 })).filter(isTold).length,
    lines: app.lines.filter((line) => line.includes('the webhook is switched off')).length
  }
}

async function failures({ lactea }: Running): Promise<number> {
  return (await lactea.gateway.store.listTargets())[0]?.failedCount ?? 0
}
