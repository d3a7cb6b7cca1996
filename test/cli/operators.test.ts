import t, { type Test } from 'tap'
import { text, world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { runLactea, startService, type Finished } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook } from '../helpers/webhook.ts'

function atDirectory(t: Test, config?: object) {
  const cwd = makeDirectory(t, config)
  return { cwd, lactea: (...args: string[]): Promise<Finished> => runLactea(args, { cwd }) }
}

void t.test('lactea operator and lactea audit', async (t) => {
  const { cwd, lactea } = atDirectory(t)
  t.match(await lactea('audit'), { code: 0, stdout: 'nothing was done yet\n', stderr: '' })
  t.match(await lactea('operator', 'list'), { code: 0, stdout: /^nobody: / })
  const token = await lactea('operator', 'token', 'deploy')
  t.match(token, { code: 0, stdout: /^token 1 \(deploy\)\nof an operator, shown this once: [\w-]{43}\n$/ })
  t.match(await lactea('operator', 'key', 'cron'), { stdout: /^key 2 \(cron\)\n.*: whsec_[\w+/]{43}=\n$/ })
  const made = await runLactea(['user', 'add', 'alice', '--password-stdin'], { cwd, input: 'alice-secret\n' })
  t.equal(made.code, 0)
  t.equal((await lactea('user', 'admin', 'alice', 'on')).code, 0)
  t.match(await lactea('operator', 'list'), { stdout: /^user +10001 +alice .*\ntoken +1 +deploy .*\nkey +2 +cron/ })
  t.match(await lactea('operator', 'revoke', '1'), { stdout: 'token 1 (deploy) opens nothing any more\n' })
  t.match(await lactea('operator', 'revoke', '1'), { code: 1, stderr: 'there is no token or key 1\n' })
  t.match(await lactea('operator', 'setup-code'), { stdout: /once: [A-Z2-9]{4}-[A-Z2-9]{4}\n$/ })
  t.equal((await lactea('bot', 'add', '--nickname', 'Echo')).code, 0)
  t.equal((await lactea('bot', 'remove', '10099')).code, 1)

  const { stdout } = await lactea('audit')
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/).slice(1).join(' | '))
  t.strictSame(rows, [
    'command line | operator.token | token 1',
    'command line | operator.key | key 2',
    'command line | user.add | 10001',
    'command line | user.admin | alice | {"args":["on"]}',
    'command line | operator.revoke | token 1',
    'command line | operator.revoke | 1 | {"error":"there is no token or key 1"}',
    'command line | operator.setup-code',
    'command line | bot.add | 10002 | {"nickname":"Echo"}',
    'command line | bot.remove | 10099 | {"error":"there is no bot 10099"}'
  ])
  t.notOk(stdout.includes('alice-secret'))
  t.equal((await lactea('audit', '--last', '2')).stdout.split('\n').length, 3)
})

void t.test('lactea webhook', async (t) => {
  const hook = await startWebhook(t)
  const [one, two] = world.bots
  const config = { ...world, bots: [{ ...one, webhooks: [{ url: hook.url }] }, two] }
  const { cwd, lactea } = atDirectory(t, config)
  t.match(await lactea('webhook', 'list'), { code: 0, stdout: /^no webhooks/ })
  const service = await startService(t, cwd)
  const [, id = ''] =
    /^(10001-[0-9a-f]{12}) +active +0 waiting +0 dead +works +http/.exec((await lactea('webhook', 'list')).stdout) ?? []
  const say = async (words: string): Promise<void> => {
    await fetch(`${service.url}/send_group_message`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-two', 'content-type': 'application/json' },
      body: JSON.stringify({ group_id: 100001, message: text(words) })
    })
  }
  await say('first')
  const first = await hook.next()
  const event = String(first.headers['webhook-id']).slice('evt_'.length)

  t.match(await lactea('webhook', 'pause', id, '--reason', 'repairs'), { stdout: `webhook ${id} is paused\n` })
  t.match(await lactea('webhook', 'pause', id), { stdout: `webhook ${id} is paused already\n` })
  t.match(await lactea('webhook', 'show', id), { stdout: /\npaused \(repairs\) since / })
  // It stops when it has heard of it, and goes on from where it stopped.
  await waitFor(() => service.log().includes('the webhook stops'), 'the gateway to hear of it')
  await say('second')
  t.equal(hook.all.length, 1)
  t.match(await lactea('webhook', 'resume', id), { stdout: `webhook ${id} is active\n` })
  t.match((await hook.next()).text, /second/)

  t.match(await lactea('webhook', 'replay', id), { code: 1, stderr: /--event/ })
  t.match(await lactea('webhook', 'replay', id, '--from', '9', '--to', '3'), { code: 1, stderr: /in this order/ })
  t.match(await lactea('webhook', 'replay', id, '--dead'), { stdout: `0 events are sent again to webhook ${id}\n` })
  t.match(await lactea('webhook', 'replay', id, '--event', event), { stdout: /^1 events/ })
  const again = await hook.next()
  t.equal(again.headers['webhook-id'], first.headers['webhook-id'])
  t.equal(again.text, first.text)
  await waitFor(async () => (await lactea('webhook', 'attempts', id, '--event', event)).stdout.split('\n').length === 3)
  t.match(await lactea('webhook', 'attempts', id, '--event', event), { stdout: /event \d+ +try 1 +204 +\d+ ms/ })
  t.match(await lactea('webhook', 'show', 'nothing'), { code: 1, stderr: /there is no webhook nothing/ })
  t.match(await lactea('webhook', 'replay', id, '--event', 'x'), { code: 1, stderr: /expected a number from 1/ })
})
