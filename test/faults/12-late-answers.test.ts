import { startApp, text } from '../helpers/app.ts'
import { passToNextTry, stoppedClock } from '../helpers/retries.ts'
import { withSecondBot } from '../helpers/socket-suite.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'

fault({
  number: 12,
  title: 'a receiver that answers 200 after the timeout',
  mark: 'Receiver answers 200 after the timeout: counted failed, retried with same id; receiver that dedupes sees 1.',
  async run({ t, size, figure }) {
    const events = size(5, 50)
    const clock = stoppedClock()
    const hook = await startWebhook(t)
    const bots = withSecondBot({ webhooks: [{ url: hook.url, timeout: 200 }] })
    const app = await startApp(t, { config: { bots }, clock })
    const { store } = app.lactea.gateway
    const seen = new Set<string>()
    hook.answer(({ headers }, response) => {
      const id = String(headers['webhook-id'])
      if (seen.has(id)) return void response.writeHead(200).end()
      seen.add(id)
      // Longer than the gateway waits; it has gone by then.
      setTimeout(() => response.writeHead(200).end(), 400)
    })
    for (let event = 0; event < events; event++) {
      const message = text(`message ${event}`)
      await app.call('token-one', 'send_group_message', { group_id: 100001, message })
      const waiting = await passToNextTry(app, clock)
      t.equal(waiting.attempts, 1, 'the late answer counts as none')
      await waitFor(async () => (await store.listTargets())[0]?.waiting === 0, 'the second try')
    }
    const [target] = await store.listTargets()
    const attempts = await store.listAttempts(target?.id ?? '', { limit: 1000 })
    const tries = hook.all.map(({ headers }) => String(headers['webhook-id']))
    figure('counted failed', attempts.filter(({ error }) => error !== '').length, { is: events })
    figure('tries of each event', tries.length / events, { is: 2 })
    figure('seen by a receiver that deduplicates', new Set(tries).size / events, { is: 1 })
    t.ok(
      attempts.filter(({ error }) => error !== '').every(({ status, error }) => !status && /200 ms/.test(error)),
      'the reason is in words'
    )
  }
})
