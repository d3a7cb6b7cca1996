import { sign, toSigningKey, verify } from '../../src/net/signature.ts'
import { bob, signedHeaders, startOperated } from '../helpers/operator.ts'
import { ask, type Answer } from '../helpers/person.ts'
import { runLactea } from '../helpers/service.ts'
import { fault } from './lab/fault.ts'

/** Of the specification of Standard Webhooks. */
const VECTOR = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  time: 1_614_265_330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
}

fault({
  number: 34,
  title: 'signed requests of operators, replayed, shifted and written anew',
  mark: 'Replayed or shifted signature (inbound webhooks and console actions): ±5 min accepted, beyond rejected, same id twice → 1 effect. Official vector passes; body re-serialised → rejected.',
  async run({ t, size, figure }) {
    const { app } = await startOperated(t)
    const { stdout } = await runLactea(['operator', 'key', 'cron'], { cwd: app.dir })
    const [, keyId, key = ''] = /key (\d+) [^]*(whsec_\S+)/.exec(stdout) ?? []
    const { accounts, now } = app.lactea.gateway
    let ids = 0
    const bot = await accounts.add({ kind: 'bot', nickname: 'Three' })
    const path = `/api/admin/bots/${bot.id}/token`

    async function send(shiftS: number, more: { body?: string; sent?: string; id?: string } = {}): Promise<Answer> {
      const { body = '{}', sent = body, id = `evt_${++ids}` } = more
      const headers = signedHeaders({ id, key, keyId: Number(keyId), time: now() + shiftS, body })
      return ask(app, 'POST', path, { body: sent, headers })
    }

    const rounds = size(5, 100)
    let [within, beyond, rewritten] = [0, 0, 0]
    for (let round = 0; round < rounds; round++) {
      // A second of room: the clock goes on while the request travels.
      for (const shift of [-299, -60, 0, 60, 299]) if ((await send(shift)).status === 200) within++
      for (const shift of [-302, 302, -86_400, 86_400]) if ((await send(shift)).status !== 401) beyond++
      const changed = [
        { body: '{"a":1}', sent: '{ "a": 1 }' },
        { body: '{"a":1,"b":2}', sent: '{"b":2,"a":1}' },
        { body: '{"a":1.0}', sent: '{"a":1}' },
        { body: '{}', sent: '{}\n' }
      ]
      for (const more of changed) if ((await send(0, more)).status !== 401) rewritten++
    }
    figure('accepted within five minutes', within, { is: 5 * rounds })
    figure('accepted beyond', beyond, { is: 0 })
    figure('accepted with a body that was written anew', rewritten, { is: 0 })

    const doubled = size(20, 500)
    const tokens = new Set<string>()
    let different = 0
    for (let round = 0; round < doubled; round++) {
      const id = `evt_doubled_${round}`
      const both = await Promise.all([send(0, { id }), send(0, { id })])
      const again = await send(1, { id })
      const [first, ...others] = [...both, again].map(({ body }) => body.access_token as string)
      tokens.add(first ?? '')
      if (others.some((token) => token !== first)) different++
    }
    figure('effects of ids that came three times', tokens.size, { is: doubled })
    figure('ids with different answers', different, { is: 0 })
    const last = [...tokens].at(-1) ?? ''
    t.match(await app.call(last, 'get_login_info'), { data: { uin: bot.id } }, 'the last answer is the one that counts')
    const other = await ask(app, 'POST', `/api/admin/users/${bob}/sign-out`, {
      body: '{}',
      headers: signedHeaders({ id: 'evt_doubled_0', key, keyId: Number(keyId), time: now(), body: '{}' })
    })
    t.equal(other.status, 400, 'an id that was used is good for nothing else')

    const keys = [toSigningKey(VECTOR.secret)]
    const headers = {
      'webhook-id': VECTOR.id,
      'webhook-timestamp': String(VECTOR.time),
      'webhook-signature': VECTOR.signature
    }
    t.equal(sign(keys, VECTOR, VECTOR.body), VECTOR.signature)
    const isBelieved = 'id' in verify(keys, headers, VECTOR.body, VECTOR.time)
    figure('official vectors that pass', Number(isBelieved), { is: 1 })
  }
})
