import type { Test } from 'tap'
import type { Running } from '../helpers/app.ts'
import { startApp, world } from '../helpers/app.ts'
import { startOperated } from '../helpers/operator.ts'
import { ask, logIn, ROOMY } from '../helpers/person.ts'
import { fault } from './lab/fault.ts'

/** Whoever comes from this machine is a proxy: so the test can come from many addresses. */
const proxied = { server: { trusted_proxies: ['127.0.0.1'] } }

fault({
  number: 37,
  title: 'guessing at passwords and set-up codes',
  mark: 'Brute force on console: 5/min/IP + 20/min/account, constant-time (difference of means < 1 ms over 2 000), lock is per account+IP (no global lock-out of the owner).',
  fullMs: 300_000,
  async run({ t, size, figure }) {
    await t.test('one address', async (t) => {
      const { app } = await startOperated(t, { config: { limits: {} }, isTimeStopped: true })
      const statuses: number[] = []
      for (let count = 0; count < 50; count++) statuses.push(await guessAt(app, `name${count}`))
      figure('guesses of one address within a minute', countOf(statuses, 401), { is: 5 })
      figure('refused', countOf(statuses, 429), { is: 45 })
      const others = [
        ask(app, 'POST', '/api/auth/refresh', { body: { refresh_token: 'guess' } }),
        ask(app, 'POST', '/api/admin/setup', {
          body: { setup_code: 'AAAA-BBBB', username: 'eve', password: 'eve-secret' }
        })
      ]
      for (const answer of await Promise.all(others)) t.equal(answer.status, 429, 'all doors count together')
    })

    await t.test('one account from many addresses', async (t) => {
      const config = { ...proxied, limits: {} }
      const { app } = await startOperated(t, { config, isTimeStopped: true })
      const home = '198.51.100.1'
      t.equal((await enter(app, 'alice', 'alice-secret', home)).status, 200)
      const rows = [
        ['of an account', 'alice'],
        ['of a name that nobody has', 'nobody']
      ] as const
      for (const [what, name] of rows) {
        const guess = (index: number): Promise<number> => guessAt(app, name, `203.0.${name.length}.${index}`)
        const statuses = await Promise.all(Array.from({ length: 100 }, (_, index) => guess(index)))
        figure(`guesses ${what} within a minute`, countOf(statuses, 401), { is: 20 })
        figure(`refused ${what}`, countOf(statuses, 429), { is: 80 })
      }
      const owner = await enter(app, 'alice', 'alice-secret', home)
      figure('owners who were locked out at home', owner.status === 200 ? 0 : 1, { is: 0 })
      t.equal((await enter(app, 'alice', 'alice-secret', '203.0.113.200')).status, 429, 'strangers are')
      t.equal((await enter(app, 'bob', 'bob-secret', '203.0.113.201')).status, 200, 'nobody else is')
    })

    await t.test('the set-up code from many addresses', async (t) => {
      const app = await startApp(t, { config: { ...proxied, bots: [], provision: {} }, isTimeStopped: true })
      const statuses = await Promise.all(
        Array.from({ length: 60 }, async (_, index) => {
          const headers = { 'x-forwarded-for': `203.0.113.${index}` }
          const body = { setup_code: 'AAAA-BBBB', username: 'eve', password: 'eve-secret' }
          return (await ask(app, 'POST', '/api/admin/setup', { body, headers })).status
        })
      )
      figure('guesses at the set-up code within a minute', countOf(statuses, 403), { is: 20 })
    })

    await t.test('time', async (t) => {
      const pairs = size(20, 1000)
      const { known, unknown } = await measure(t, pairs)
      const difference = Math.abs(mean(known) - mean(unknown))
      figure('sign-ins of names that exist and of names that do not', 2 * pairs, { is: size(40, 2000) })
      figure('time of one', mean(known), { atLeast: 0, unit: 'ms', isTimed: true })
      figure('difference of means', difference, { atMost: 1, unit: 'ms', isTimed: true })
    })
  }
})

/** Both kinds in turn, so that whatever else the machine does counts for both. */
async function measure(t: Test, pairs: number): Promise<{ known: number[]; unknown: number[] }> {
  const config = {
    ...world,
    ...ROOMY,
    limits: { ...ROOMY.limits, sign_in_rate: 1e6, login_rate: 1e6, login_failures: 1e6 }
  }
  const app = await startApp(t, { config })
  const times = { known: [] as number[], unknown: [] as number[] }
  const time = async (username: string): Promise<number> => {
    const startedAt = performance.now()
    await logIn(app, { username, password: 'not hers' })
    return performance.now() - startedAt
  }
  for (const name of ['alice', 'nobody']) await time(name)
  for (let index = 0; index < pairs; index++) {
    if (index % 2 === 0) times.known.push(await time('alice'))
    times.unknown.push(await time('nobody'))
    if (index % 2 === 1) times.known.push(await time('alice'))
  }
  return times
}

function enter(app: Running, username: string, password: string, from?: string) {
  const headers = from === undefined ? {} : { 'x-forwarded-for': from }
  return ask(app, 'POST', '/api/auth/login', { body: { username, password }, headers })
}

async function guessAt(app: Running, username: string, from?: string): Promise<number> {
  return (await enter(app, username, 'guess', from)).status
}

function countOf(statuses: readonly number[], status: number): number {
  return statuses.filter((one) => one === status).length
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
