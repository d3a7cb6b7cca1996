import { inspect } from 'node:util'
import { SignJWT } from 'jose'
import t, { type Test } from 'tap'
import type { Account, Store } from '../src/core/store.ts'
import { createForeignIssuer, type ForeignIssuerOptions } from '../src/jwks.ts'
import { createSessions, isFault, LEEWAY_S, type Sessions, type SessionsOptions, type Signed } from '../src/sessions.ts'
import { openSqliteStore } from '../src/store/index.ts'
import { createIssuerKey, startIssuer, type TestIssuer } from './helpers/issuer.ts'

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

void t.test('tokens of a foreign issuer', async (t) => {
  interface Abroad extends World {
    readonly issuer: TestIssuer
    readonly told: unknown[]
  }

  async function startAbroad(t: Test, { user = '', ...more }: Partial<ForeignIssuerOptions> & { user?: string } = {}) {
    const clock = { time: 1_800_000_000 }
    const now = (): number => clock.time
    const told: unknown[] = []
    const issuer = await startIssuer(t, { now })
    const options = { issuer: issuer.issuer, audience: issuer.audience, leewayS: LEEWAY_S, now, ...more }
    const foreignIssuer = createForeignIssuer({
      url: issuer.url.replace('//', `//${user}`),
      onUnreachable: (err) => told.push(err),
      ...options
    })
    const world = await start(t, { foreignIssuer, now })
    return { ...world, clock, issuer, told } satisfies Abroad
  }

  t.test('make one account when two are the first at once, and find it from then on', async (t) => {
    const { sessions, store, issuer } = await startAbroad(t)
    const token = await issuer.sign({ name: 'Carol' })
    const signed = await Promise.all([sessions.verify(token), sessions.verify(token)])
    const [carol] = (await store.listAccounts('person')).filter(({ nickname }) => nickname === 'Carol')
    t.match(carol, { kind: 'person', username: undefined, phone: undefined, isAdmin: false })
    t.strictSame(
      signed.map((one) => !isFault(one) && [one.account.id, one.sessionId]),
      [
        [carol?.id, undefined],
        [carol?.id, undefined]
      ]
    )
    t.match(await sessions.verify(await issuer.sign({ name: 'Carol, married' })), { account: carol })
    t.equal((await store.listAccounts('person')).length, 2)
    t.equal(issuer.asked.length, 1, 'the keys were asked for once')
  })

  t.test('are told apart by subject and, where several are let in, by issuer', async (t) => {
    const { sessions, store, issuer } = await startAbroad(t, { issuer: null })
    for (const claims of [{}, { sub: 'u-2' }, { iss: 'https://other.test' }, {}])
      t.notOk(isFault(await sessions.verify(await issuer.sign(claims))))
    t.equal((await store.listAccounts('person')).length, 4)
  })

  const names: [claims: object, nickname: string][] = [
    [{ name: ' Carol  Miller\n', nickname: 'caro' }, 'Carol Miller'],
    [{ name: '', nickname: 'caro', preferred_username: 'cmiller' }, 'caro'],
    [{ name: 7, preferred_username: 'cmiller' }, 'cmiller'],
    [{ name: '\u202e\u0000' }, 'u-1'],
    [{ sub: '\u0007' }, 'User'],
    [{ name: 'a\u202eb\u0000c' }, 'a b c'],
    [{ name: 'n'.repeat(5000) }, 'n'.repeat(64)],
    [{ name: `${'n'.repeat(63)}😀` }, 'n'.repeat(63)]
  ]
  t.test('name their people, in 64 characters that can be shown', async (t) => {
    for (const [claims, nickname] of names) {
      const { sessions, issuer } = await startAbroad(t)
      t.match(
        await sessions.verify(await issuer.sign({ ...claims })),
        { account: { nickname } },
        JSON.stringify(nickname)
      )
    }
  })

  t.test('say nothing with the claims that only count in our own', async (t) => {
    const { sessions, alice, issuer } = await startAbroad(t)
    const { sessionId } = await signIn({ sessions, alice } as World)
    const claims = { user_id: alice.id, username: 'alice', typ: 'access', sid: sessionId }
    const signed = await sessions.verify(await issuer.sign(claims))
    t.match(signed, { sessionId: undefined, account: { nickname: 'u-1' } })
    t.not(!isFault(signed) && signed.account.id, alice.id)
    t.strictSame(await sessions.refresh(await issuer.sign({ ...claims, typ: 'refresh', jti: 'x' })), {
      fault: '令牌无效'
    })
  })

  t.test('of somebody who was switched off here are refused', async (t) => {
    const { sessions, store, issuer, clock } = await startAbroad(t)
    const signed = await sessions.verify(await issuer.sign())
    if (isFault(signed)) throw new Error(signed.fault)
    await store.disableAccount(signed.account.id, clock.time)
    t.strictSame(await sessions.verify(await issuer.sign()), { fault: '账号已停用' })
    t.equal(await sessions.isLive(signed), false)
  })

  t.test('may be a minute off by the clock, and no more', async (t) => {
    const { sessions, issuer, clock } = await startAbroad(t)
    const [late, early] = [await issuer.sign({ exp: clock.time - 59 }), await issuer.sign({ nbf: clock.time + 59 })]
    t.match(await sessions.verify(late), { expiresAt: clock.time + 1 })
    t.notOk(isFault(await sessions.verify(early)))
    t.strictSame(await sessions.verify(await issuer.sign({ exp: clock.time - 60 })), { fault: '令牌已过期' })
  })

  t.test('wait for the issuer to come back; our own do not', async (t) => {
    const world = await startAbroad(t)
    const { sessions, issuer, told, clock } = world
    const token = await issuer.sign()
    await issuer.stop()
    for (let count = 0; count < 3; count++) {
      t.strictSame(await sessions.verify(token), { fault: '令牌签发方暂不可用' })
      t.match(await signIn(world), { account: { id: world.alice.id } })
    }
    t.equal(told.length, 1, 'told once a minute')
    t.notMatch(inspect(told, { depth: 10 }), token.slice(-20))
    clock.time += 60
    t.strictSame(await sessions.verify(token), { fault: '令牌签发方暂不可用' })
    t.equal(told.length, 2)

    await issuer.restart()
    t.strictSame(await sessions.verify(token), { fault: '令牌签发方暂不可用' }, 'left alone for a moment')
    t.equal(issuer.asked.length, 0)
    clock.time += 5
    t.notOk(isFault(await sessions.verify(token)))
  })

  const failures: [label: string, status: number, text?: string][] = [
    ['an error', 500],
    ['a way elsewhere', 302],
    ['no JSON', 200, '<html>'],
    ['no keys', 200, '{"keys":7}']
  ]
  t.test('cannot be looked at while the issuer answers nonsense', async (t) => {
    for (const [label, ...answer] of failures) {
      const { sessions, issuer, told } = await startAbroad(t)
      issuer.answer(...answer)
      t.strictSame(await sessions.verify(await issuer.sign()), { fault: '令牌签发方暂不可用' }, label)
      t.equal(told.length, 1, label)
    }
  })

  t.test('go on while the keys are known, even when the issuer is away', async (t) => {
    const { sessions, issuer } = await startAbroad(t)
    await sessions.verify(await issuer.sign())
    await issuer.stop()
    t.notOk(isFault(await sessions.verify(await issuer.sign({ sub: 'u-2' }))))
  })

  t.test('with keys that are not known do not make the issuer busy', async (t) => {
    const { sessions, issuer } = await startAbroad(t)
    const stranger = await createIssuerKey('RS256')
    const [token, good] = [await issuer.sign({}, { key: stranger }), await issuer.sign()]
    for (let count = 0; count < 20; count++) t.strictSame(await sessions.verify(token), { fault: '令牌无效' })
    t.notOk(isFault(await sessions.verify(good)))
    t.equal(issuer.asked.length, 1)
  })

  t.test('are checked with keys that are behind a password', async (t) => {
    const { sessions, issuer } = await startAbroad(t, { user: 'lactea:s%3Acret@' })
    t.notOk(isFault(await sessions.verify(await issuer.sign())))
    t.strictSame(issuer.asked, [`Basic ${Buffer.from('lactea:s:cret').toString('base64')}`])
  })
})
