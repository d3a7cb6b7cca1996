import { SignJWT } from 'jose'
import t, { type Test } from 'tap'
import type { Account, Store } from '../src/core/store.ts'
import { createSessions, isFault, type SessionsOptions, type Sessions, type Signed } from '../src/sessions.ts'
import { openSqliteStore } from '../src/store/index.ts'

const SECRET = 'a secret for these tests alone, long enough'

interface World {
  readonly store: Store
  readonly sessions: Sessions
  readonly alice: Account
  readonly clock: { time: number }
}

/** Sessions on a database in memory, by a clock that stands still until it is set. */
async function start(t: Test, options: Partial<SessionsOptions> = {}): Promise<World> {
  const store = await openSqliteStore({ path: ':memory:' })
  t.teardown(() => store.close())
  const clock = { time: 1_800_000_000 }
  const now = (): number => clock.time
  const sessions = createSessions({ store, secret: SECRET, now, ...options })
  const alice = await store.addAccount({ kind: 'person', nickname: 'Alice', username: 'alice', createdAt: now() })
  return { store, sessions, alice, clock }
}

async function signIn({ sessions, alice }: World): Promise<Signed & { readonly sessionId: string }> {
  const { accessToken } = await sessions.open(alice)
  const signed = await sessions.verify(accessToken)
  if (isFault(signed)) throw new Error(signed.fault)
  return signed as Signed & { readonly sessionId: string }
}

void t.test('a ticket', async (t) => {
  t.test('lets in once, whoever it was given to, even when two come with it at once', async (t) => {
    const world = await start(t)
    const signed = await signIn(world)
    const ticket = world.sessions.issueTicket(signed)
    const found = await Promise.all([world.sessions.redeem(ticket), world.sessions.redeem(ticket)])
    t.strictSame(found, [signed, { fault: '票据无效或已被使用' }])
    t.strictSame(await world.sessions.redeem('made up'), { fault: '票据无效或已被使用' })
  })

  t.test('is good for 30 seconds', async (t) => {
    const world = await start(t)
    const signed = await signIn(world)
    const [early, late] = [world.sessions.issueTicket(signed), world.sessions.issueTicket(signed)]
    world.clock.time += 29
    t.match(await world.sessions.redeem(early), { account: { id: world.alice.id } })
    world.clock.time += 1
    t.strictSame(await world.sessions.redeem(late), { fault: '票据无效或已被使用' })
  })

  t.test('is worth no more than the session, the account and the token it was given for', async (t) => {
    const world = await start(t)
    const { sessions, store, clock } = world
    const signed = await signIn(world)
    const ofEnded = sessions.issueTicket(signed)
    await sessions.end(signed.sessionId)
    t.strictSame(await sessions.redeem(ofEnded), { fault: '会话已结束' })

    const old = sessions.issueTicket({ ...(await signIn(world)), expiresAt: clock.time + 5 })
    clock.time += 5
    t.strictSame(await sessions.redeem(old), { fault: '令牌已过期' })

    const ofRemoved = sessions.issueTicket(await signIn(world))
    await store.disableAccount(world.alice.id, clock.time)
    t.strictSame(await sessions.redeem(ofRemoved), { fault: '账号已停用' })
  })

  t.test('is the last of ten of its account: an eleventh voids the oldest, and nobody else notices', async (t) => {
    const world = await start(t)
    const { sessions, store, clock } = world
    const bob = await store.addAccount({ kind: 'person', nickname: 'Bob', createdAt: clock.time })
    const signed = await signIn(world)
    const ofBob = sessions.issueTicket({ ...signed, account: bob, sessionId: undefined })
    const tickets = Array.from({ length: 11 }, () => sessions.issueTicket(signed))
    const [first, second] = [await sessions.redeem(tickets[0] ?? ''), await sessions.redeem(tickets[1] ?? '')]
    t.match([first, second], [{ fault: '票据无效或已被使用' }, { account: { id: world.alice.id } }])
    t.match(await sessions.redeem(ofBob), { account: { id: bob.id } })
  })
})

void t.test('tokens that another IM-Suite server has issued', async (t) => {
  const untyped = (world: World): Promise<string> =>
    new SignJWT({ user_id: world.alice.id, phone: '', username: 'alice', iss: 'zhihang-messenger' })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setExpirationTime(world.clock.time + 60)
      .sign(new TextEncoder().encode(SECRET))

  t.test('count as long as they are wanted; they name no session', async (t) => {
    const world = await start(t)
    t.match(await world.sessions.verify(await untyped(world)), {
      account: { id: world.alice.id },
      sessionId: undefined
    })
  })

  t.test('are refused when they are not, and our own still count', async (t) => {
    const world = await start(t, { acceptsUntyped: false })
    t.strictSame(await world.sessions.verify(await untyped(world)), { fault: '令牌无效' })
    t.match(await signIn(world), { account: { id: world.alice.id }, sessionId: String })
  })
})
