import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { runLactea, type Finished } from '../helpers/service.ts'

function check(t: Test, file?: string, args: readonly string[] = []): Promise<Finished> {
  const cwd = t.testdir({})
  if (file !== undefined) writeFileSync(join(cwd, 'lactea.yaml'), file)
  return runLactea(['check-config', ...args], { cwd })
}

void t.test('lactea check-config', async (t) => {
  t.test('prints what the configuration amounts to, and no secret of it', async (t) => {
    const file = `server: { port: 4000 }
im: { jwt_secret: canary-jwt-secret-of-32-characters-and-more }
bots:
  - id: 10001
    access_token: canary-token
    webhooks: [{ url: "http://user:canary-pass@127.0.0.1:8081/hook?token=canary-query", secret: "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5" }]
provision: { accounts: [{ id: 10011, kind: person, username: alice, password: canary-password }] }
`
    const { code, stdout, stderr } = await check(t, file, ['--data-dir', 'elsewhere'])
    t.strictSame([code, stderr], [0, ''])
    t.notMatch(stdout, /canary|Y2FuYXJ5/)
    t.match(parse(stdout), {
      server: { host: '127.0.0.1', port: 4000 },
      data: { dir: 'elsewhere' },
      im: { registration: 'open', jwt_secret: '***' },
      bots: [
        {
          id: 10001,
          access_token: '***',
          webhooks: [{ url: /^http:\/\/\*\*\*@127\.0\.0\.1:8081\/hook/, secret: '***' }]
        }
      ],
      provision: { accounts: [{ username: 'alice', password: '***' }] },
      log: { level: 'info' }
    })
  })

  t.test('needs no file', async (t) => {
    const { code, stdout } = await check(t)
    t.equal(code, 0)
    t.match(parse(stdout), { server: { port: 3000 }, bots: [] })
  })

  t.test('prints every mistake with its line, and exits with 1', async (t) => {
    const file = `server:
  prot: 3000
  host: 127.0.0.1
bots:
  - id: 5
    access_tokn: canary
limits: { im_frame: 64Kib, colour: 1 }
`
    const { code, stdout, stderr } = await check(t, file)
    t.strictSame([code, stdout], [1, ''])
    const lines = stderr.trim().split('\n')
    t.match(lines[0], /^lactea\.yaml:2: .*prot.*port/)
    t.match(lines[1], /^lactea\.yaml:5: .*10001/)
    t.match(lines[2], /^lactea\.yaml:6: .*access_tokn.*access_token/)
    t.match(lines.slice(3).join('\n'), /^lactea\.yaml:7: .*colour/m)
    t.notMatch(stderr, /canary/)
    t.notMatch(stderr, /^ +at /m)
  })

  t.test('says that the file it was given is not there', async (t) => {
    const { code, stderr } = await check(t, undefined, ['--config', 'nowhere.yaml'])
    t.equal(code, 1)
    t.match(stderr, /nowhere\.yaml does not exist/)
  })
})

void t.test('lactea --version and --help', async (t) => {
  const cwd = t.testdir({})
  t.match(await runLactea(['--version'], { cwd }), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
  const { code, stdout } = await runLactea(['--help'], { cwd })
  t.equal(code, 0)
  for (const name of ['start', 'check-config', 'bot', 'user', 'group'])
    t.match(stdout, new RegExp(`^  ${name} `, 'm'), name)
})
