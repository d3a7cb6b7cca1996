import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startApp, text, world } from '../helpers/app.ts'
import { createOperators } from '../../src/operators.ts'
import { ask, logIn, ROOMY } from '../helpers/person.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook } from '../helpers/webhook.ts'

/** All files below a directory. */
function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile())
}

void t.test('nothing that opens a door lies in the data directory, but the key that signs', async (t) => {
  const hook = await startWebhook(t)
  const [first, second] = world.bots
  const target = `${hook.url.replace('http://', 'http://user:secret-of-a-webhook@')}?token=query-of-a-webhook`
  const app = await startApp(t, {
    config: {
      ...ROOMY,
      bots: [
        { ...first, access_token: 'token-of-the-configuration' },
        {
          ...second,
          access_token: 'other-token-of-the-configuration',
          webhooks: [{ url: target, access_token: 'token-of-a-webhook', secret: `whsec_${'c2VjcmV0'.repeat(5)}` }],
          reverse_ws: [{ url: 'ws://user:secret-of-a-socket@127.0.0.1:1/?key=query-of-a-socket' }],
          maim: [{ url: 'ws://127.0.0.1:1/ws?k=query-of-a-link', mode: 'legacy', token: 'token-of-a-link' }]
        }
      ],
      maim: { keys: [{ api_key: 'key-of-a-brain', account: 10001 }], legacy_tokens: ['token-of-a-peer'] },
      server: { metrics_token: 'token-of-metrics' }
    }
  })
  const { accounts, store, now } = app.lactea.gateway
  const secrets = [
    'token-of-the-configuration',
    'secret-of-a-webhook',
    'query-of-a-webhook',
    'token-of-a-webhook',
    // The key that signs, as it is written and as it is used.
    'c2VjcmV0',
    'secretsecretsecret',
    'secret-of-a-socket',
    'query-of-a-socket',
    'query-of-a-link',
    'token-of-a-link',
    'key-of-a-brain',
    'token-of-a-peer',
    'token-of-metrics',
    'alice-secret',
    'secret-of-bob'
  ]

  const bot = await accounts.add({ kind: 'bot', nickname: 'Third' })
  await accounts.setToken(bot.id, 'token-of-the-command-line')
  await accounts.invite('code-of-an-invitation', 3600)
  const operators = createOperators({ store, secret: 'any', maxEntries: () => 10, now, onError: () => {} })
  secrets.push('token-of-the-command-line', 'code-of-an-invitation', (await operators.addToken('one')).token)
  secrets.push((await operators.addKey('two')).key.replace('whsec_', ''), await operators.renewSetupCode())
  await accounts.add({ kind: 'person', username: 'bob', nickname: 'Bob', password: 'secret-of-bob' })

  const { token, refresh_token: refresh } = (await logIn(app, { username: 'alice', password: 'alice-secret' })).body
  const renewed = (await ask(app, 'POST', '/api/auth/refresh', { body: { refresh_token: refresh } })).body
  for (const jwt of [token, refresh, renewed.token, renewed.refresh_token] as string[])
    secrets.push(jwt.slice(-43), jwt.split('.')[1] ?? '')
  const { ticket } = (await ask(app, 'POST', '/api/auth/ws-ticket', { token: renewed.token })).body
  secrets.push(ticket)
  await openSocket(t, `${app.ws}/im/ws?ticket=${ticket}`)
  const form = new FormData()
  form.set('file', new Blob(['bytes']), 'x.bin')
  const headers = { authorization: `Bearer ${renewed.token}` }
  const uploaded = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
  const { file_url: link } = (await uploaded.json()) as { file_url: string }
  secrets.push(new URL(link, app.url).searchParams.get('sig') ?? 'no signature')
  await openSocket(t, `${app.ws}/maim/ws?api_key=key-of-a-brain`)
  const peer = await openSocket(t, `${app.ws}/maim/legacy/ws`, {
    headers: { platform: 'a', authorization: 'token-of-a-peer' }
  })
  // It waits in the mail of a platform that is away.
  peer.send({ message_info: { platform: 'away', message_id: '1' }, message_segment: { type: 'text', data: 'hello' } })
  hook.answer(500)
  await app.call('token-of-the-configuration', 'send_group_message', { group_id: 100001, message: text('hello') })
  await waitFor(() => hook.all.length > 0, 'a delivery that fails and is kept')
  peer.socket.close()
  await once(peer.socket, 'close')

  const look = (): void => {
    const files = filesBelow(join(app.dir, 'data'))
    t.ok(
      files.some((path) => readFileSync(path).includes('Alice')),
      'what is stored is found'
    )
    for (const path of files) {
      const bytes = readFileSync(path)
      t.strictSame(
        secrets.filter((secret) => bytes.includes(secret)),
        [],
        path.slice(app.dir.length)
      )
    }
  }
  look()
  await app.lactea.app.close()
  look()
})
