import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { findWarnings, loadConfig } from '../src/config.ts'
import { LONGEST_WAIT_MS } from '../src/config/warnings.ts'
import { PAUSES_S } from '../src/net/delivery-schedule.ts'
import { startApp } from './helpers/app.ts'
import { makeDirectory } from './helpers/directory.ts'
import { runLactea } from './helpers/service.ts'

function warningsOf(t: Test, given: object): string[] {
  const dir = makeDirectory(t)
  const file = join(dir, 'lactea.yaml')
  writeFileSync(file, stringify(given))
  return findWarnings(loadConfig({ file, env: {}, cwd: dir }).config)
}

const link = { url: 'ws://127.0.0.1:8000/ws', mode: 'legacy', token: 'a-secret' }

void t.test('what is hardly meant is warned of', async (t) => {
  const examples: [given: object, ...words: RegExp[]][] = [
    [{}],
    [
      {
        bots: [
          { id: 10001, maim: [link] },
          { id: 10002, maim: [{ ...link, platform: 'other' }] }
        ]
      }
    ],
    [{ limits: { im_silence: '20s' } }, /^limits\.im_silence \(20000 ms\) is not longer than limits\.im_ping/],
    [{ limits: { maim_keep_time: '1s' } }, /^limits\.maim_keep_time/],
    [{ limits: { log_age: '1h' } }],
    [
      { limits: { log_age: '1h' }, bots: [{ id: 10001, webhooks: [{ url: 'http://127.0.0.1:1/' }] }] },
      /^limits\.log_age \(1 h\) is shorter than webhooks are tried/
    ],
    [
      {
        bots: [
          { id: 10001, nickname: 'Echo' },
          { id: 10002, nickname: 'Echo' }
        ]
      },
      /^bots\[1\]\.nickname is that of bots\[0\] too/
    ],
    [
      {
        bots: [
          { id: 10001, maim: [link] },
          { id: 10002, maim: [link] }
        ]
      },
      /^bots\[1\]\.maim\[0\]\.platform and its url are those of bots\[0\]\.maim\[0\] too/
    ],
    [{ im: { jwks_url: 'https://id.example.org/keys' } }, /^im\.jwks_audience is not set/]
  ]
  for (const [given, ...words] of examples) {
    const found = warningsOf(t, given)
    t.equal(found.length, words.length, JSON.stringify(given))
    for (const [index, pattern] of words.entries()) t.match(found[index], pattern)
    t.notMatch(found.join(), /a-secret/)
  }
})

void t.test('the longest wait of a webhook is known', async (t) => {
  const longestS = PAUSES_S.reduce<number>((sum, pause) => sum + pause * 1.2, 0)
  t.ok(longestS * 1000 <= LONGEST_WAIT_MS && longestS * 1000 > LONGEST_WAIT_MS - 3_600_000)
})

void t.test('lactea check-config prints warnings beside, and exits 0', async (t) => {
  const cwd = makeDirectory(t, { limits: { im_silence: '20s' } })
  const { code, stdout, stderr } = await runLactea(['check-config'], { cwd })
  t.equal(code, 0)
  t.match(stderr, /^warning: limits\.im_silence/)
  t.notMatch(stdout, /warning/)
})

void t.test('the start logs them', async (t) => {
  const app = await startApp(t, { config: { limits: { im_silence: '20s' } }, logLevel: 'warn' })
  t.match(await app.logged('limits.im_silence'), /is not longer than/)
})
