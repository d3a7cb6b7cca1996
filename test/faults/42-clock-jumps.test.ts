import { SignJWT } from 'jose'
import type { Test } from 'tap'
import { startApp, text, world, type Running } from '../helpers/app.ts'
import { createTestClock } from '../helpers/clock.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'

const HOUR_S = 3600
const SECRET = 'a secret for this test alone, long enough'

/** A machine whose time passes when it is told to, and whose clock can be set beside that, as NTP does. */
function createMachine() {
  const time = createTestClock(Math.floor(Date.now() / 1000))
  let set = 0
  return {
    clock: { ...time, now: () => time.now() + set },
    set: (seconds: number) => void (set += seconds),
    pass: (seconds: number) => time.advance(seconds * 1000)
  }
}

fault({
  number: 42,
  title: 'the clock is set by an hour, forth and back',
  mark: 'clock jumps ±1 h, NTP step back: no retry storm, no early expiry (monotonic time inside), JWT leeway 60 s',
  async run({ t, size, figure }) {
    const orders = [
      [HOUR_S, -HOUR_S, -HOUR_S, HOUR_S],
      [-HOUR_S, HOUR_S, HOUR_S, -HOUR_S]
    ].slice(0, size(1, 2))
    const found: Findings[] = []
    for (const jumps of orders) found.push(await jump(t, jumps))
    const sum = (name: keyof Findings): number => found.reduce((total, one) => total + one[name], 0)
    figure('tokens that were refused', sum('refused'), { is: 0 })
    figure('tickets that had expired', sum('ticketsLost'), { is: 0 })
    figure('sockets that were cut', sum('cut'), { is: 0 })
    figure('jumps that began tries before their time', sum('storms'), { is: 0 })
    figure('jumps that held up a try', sum('late'), { is: 0 })
    figure('tokens on the wrong side of 60 s of leeway', sum('leeway'), { is: 0 })
  }
})

interface Findings {
  readonly refused: number
  readonly ticketsLost: number
  readonly cut: number
  readonly storms: number
  readonly late: number
  readonly leeway: number
}

/** One gateway, whose machine is set by so many seconds, again and again. */
async function jump(t: Test, jumps: readonly number[]): Promise<Findings> {
  const machine = createMachine()
  const [failing, working] = [await startWebhook(t), await startWebhook(t)]
  failing.answer(503)
  const [one, two] = world.bots
  const app = await startApp(t, {
    clock: machine.clock,
    config: {
      im: { jwt_secret: SECRET },
      bots: [
        { ...one, webhooks: [{ url: failing.url }] },
        { ...two, webhooks: [{ url: working.url }] }
      ]
    }
  })
  const tokens = [await app.signIn('alice', 'alice-secret')]
  const cut: string[] = []
  const sockets = {
    bot: await openSocket(t, `${app.ws}/?access_token=token-one`),
    person: await openSocket(t, `${app.ws}/ws?token=${tokens[0]}`)
  }
  for (const [name, { closed }] of Object.entries(sockets)) void closed.then(() => cut.push(name))

  // Something that waits for a further try, and what is known of its schedule.
  let said = 0
  const say = async (token: string): Promise<string> => {
    const words = `words ${++said}`
    const params = { group_id: 100001, message: text(words) }
    t.match(await app.call(token, 'send_group_message', params), { status: 'ok' })
    return words
  }
  await say('token-two')
  await waitFor(() => failing.all.length === 1, 'the first try')

  let [refused, storms, late, ticketsLost] = [0, 0, 0, 0]
  for (const seconds of jumps) {
    const ticket = await issueTicket(app, tokens[0] ?? '')
    const dueInS = await nextTryIn(app)
    machine.set(seconds)
    const before = failing.all.length
    machine.pass(1)
    // When a later event has made its way, an earlier one has had every chance.
    const words = await say('token-one')
    await waitFor(() => working.all.some((delivered) => delivered.text.includes(words)), 'a delivery after the jump')
    if (failing.all.length > before) storms++
    tokens.push(await app.signIn('alice', 'alice-secret'))
    for (const token of tokens) if ((await ask(app, token)) !== 200) refused++
    if (!(await opensWith(t, app, ticket))) ticketsLost++

    // A twentieth more is what following the machine's clock may cost.
    const hasTried = (): boolean => failing.all.length > before
    for (let passed = 1; passed < dueInS * 1.06 + 2 && !hasTried(); passed += Math.ceil(dueInS / 20)) {
      machine.pass(Math.ceil(dueInS / 20))
      await fetch(`${app.url}/ready`)
    }
    await waitFor(hasTried, 'the next try').catch(() => late++)
  }

  const leeway = await countLeeway(app, machine.clock.now())
  return { refused, ticketsLost, cut: cut.length, storms, late, leeway }
}

/** Seconds until the event that waits is tried again. */
async function nextTryIn({ lactea }: Running): Promise<number> {
  const { store, steady } = lactea.gateway
  let due: number | undefined
  await waitFor(async () => {
    const targets = await store.listTargets()
    const rows = await Promise.all(targets.map(({ id }) => store.listDeliveries(id, 'waiting', { limit: 10 })))
    const times = rows.flat().map(({ nextAt }) => nextAt - steady.now())
    due = times.length > 0 ? Math.min(...times) : undefined
    return due !== undefined && due > 1
  }, 'an event that waits')
  return due ?? 0
}

async function ask({ url }: Running, token: string): Promise<number> {
  const response = await fetch(`${url}/api/users/me`, { headers: { authorization: `Bearer ${token}` } })
  await response.arrayBuffer()
  return response.status
}

async function issueTicket({ url }: Running, token: string): Promise<string> {
  const response = await fetch(`${url}/api/auth/ws-ticket`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` }
  })
  const { ticket } = (await response.json()) as { ticket: string }
  return ticket
}

async function opensWith(t: Test, { ws }: Running, ticket: string): Promise<boolean> {
  const { next, socket } = await openSocket(t, `${ws}/ws?ticket=${ticket}`)
  const { type } = (await next()) as { type: string }
  socket.terminate()
  return type === 'connect'
}

/** Tokens of another server with the same secret, a little before and behind the leeway at both of their ends. */
async function countLeeway(app: Running, now: number): Promise<number> {
  const examples: [from: number, to: number, status: number][] = [
    [-100, -30, 200],
    [-100, -90, 401],
    [30, 100, 200],
    [90, 200, 401]
  ]
  let wrong = 0
  for (const [from, to, status] of examples) {
    const token = await new SignJWT({ user_id: 10011, username: 'alice' })
      .setProtectedHeader({ alg: 'HS256' })
      .setNotBefore(now + from)
      .setExpirationTime(now + to)
      .sign(new TextEncoder().encode(SECRET))
    if ((await ask(app, token)) !== status) wrong++
  }
  return wrong
}
