import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openSqliteStore } from '../../src/store/index.ts'
import type { Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import {
  alice,
  bob,
  carol,
  heardSoFar,
  openDevice,
  request,
  startPeople,
  TIMESTAMP,
  tokenOf
} from '../helpers/people.ts'
import type { TestSocket } from '../helpers/socket.ts'

const candidate = {
  candidate: 'candidate:1 1 UDP 2113667326 192.168.1.100 54400 typ host',
  sdpMLineIndex: 0,
  sdpMid: '0'
}
const media = { sdp: 'v=0\r\n', ice_candidates: [candidate] }
const offerTo = (to_user: number, more: object = {}): object => ({
  type: 'call.offer',
  payload: { to_user, call_type: 'video', ...media, ...more }
})
const answerTo = (call_id: string): object => ({ type: 'call.answer', payload: { call_id, ...media } })
const END = { type: 'call.end', payload: {} }
const LONG = { im_ring_timeout: 600_000, im_call_grace: 600_000, im_offer_burst: 1000, im_frame_rate: 10_000 }

/** Everybody is everybody's friend, so who is online is told too; these tests do not look at it. */
const start = (t: Test, limits: object = {}, more: { im?: object; dir?: string } = {}): Promise<Running> =>
  startPeople(
    t,
    { limits: { ...LONG, im_frame_burst: 10_000, ...limits }, ...(more.im && { im: more.im }), provision },
    more.dir === undefined ? {} : { dir: more.dir }
  )

const provision = {
  accounts: [
    { id: alice, kind: 'person', username: 'alice', password: 'alice-secret', nickname: 'Alice' },
    { id: bob, kind: 'person', username: 'bob', password: 'bob-secret', nickname: 'Bob' },
    { id: carol, kind: 'person', username: 'carol', password: 'carol-secret', nickname: 'Carol' }
  ],
  friends: [
    [alice, bob],
    [bob, carol],
    [alice, carol]
  ]
}

/** The next frame that is not about who is online. */
const next = (device: TestSocket): Promise<any> => device.find(({ type }) => type !== 'presence')

async function heardOfCalls(device: TestSocket): Promise<any[]> {
  return (await heardSoFar(device)).filter(({ type }) => type !== 'presence')
}

/** Alice calls, Bob answers; gives the id of the call. */
async function connectCall(a: TestSocket, b: TestSocket): Promise<string> {
  a.send(offerTo(bob))
  const { call_id } = (await next(b)).payload
  b.send(answerTo(call_id))
  await next(a)
  return call_id
}

void t.test('20: a call is offered, answered and ended, in frames of exactly the keys of the document', async (t) => {
  const app = await start(t)
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  a.send(offerTo(bob))
  const offer = await next(b)
  const { call_id } = offer.payload
  t.match(call_id, /^call_[A-Za-z0-9]{22}$/)
  t.match(offer, { timestamp: TIMESTAMP, payload: { created_at: TIMESTAMP } })
  const { created_at } = offer.payload
  t.strictSame(offer, {
    type: 'call.offer',
    payload: { call_id, from_user: alice, to_user: bob, call_type: 'video', ...media, created_at },
    timestamp: offer.timestamp
  })

  // The caller of the document does not know the id yet.
  a.send({ type: 'call.ice', payload: { ice_candidate: candidate } })
  const early = await next(b)
  t.strictSame(early, {
    type: 'call.ice',
    payload: { call_id, from_user: alice, to_user: bob, ice_candidate: candidate },
    timestamp: early.timestamp
  })

  b.send(answerTo(call_id))
  const answer = await next(a)
  const { answered_at } = answer.payload
  t.match(answered_at, TIMESTAMP)
  t.strictSame(answer, {
    type: 'call.answer',
    payload: { call_id, from_user: bob, to_user: alice, ...media, answered_at },
    timestamp: answer.timestamp
  })

  b.send({ type: 'call.ice', payload: { call_id, ice_candidate: candidate } })
  t.match(await next(a), { type: 'call.ice', payload: { call_id, from_user: bob, to_user: alice } })

  b.send({ type: 'call.end', payload: { call_id, reason: 'user_hangup' } })
  const end = await next(a)
  const { ended_at, duration } = end.payload
  t.match(ended_at, TIMESTAMP)
  t.ok(Number.isInteger(duration))
  t.strictSame(end, {
    type: 'call.end',
    payload: { call_id, from_user: bob, to_user: alice, reason: 'user_hangup', duration, ended_at },
    timestamp: end.timestamp
  })
  t.strictSame(await heardOfCalls(a), [], 'the caller hears no offer')
  t.strictSame(await heardOfCalls(b), [], 'nor who ended it the end')
})

void t.test('21: a second device that answers is told CALL_STATE, after it was told that another has', async (t) => {
  const app = await start(t)
  const a = await openDevice(t, app, alice)
  const [b1, b2] = [await openDevice(t, app, bob), await openDevice(t, app, bob)]
  a.send(offerTo(bob))
  const { call_id } = (await next(b1)).payload
  t.match(await next(b2), { type: 'call.offer', payload: { call_id } })
  b1.send(answerTo(call_id))
  t.match(await next(a), { type: 'call.answer' })
  t.match(await next(b2), { type: 'call.end', payload: { call_id, reason: 'answered_elsewhere', duration: 0 } })
  b2.send(answerTo(call_id))
  t.match(await next(b2), { type: 'error', payload: { error_code: 'CALL_STATE' } })
  t.strictSame(await heardOfCalls(a), [])
  t.strictSame(await heardOfCalls(b1), [])
})

void t.test('22: who is in a call is busy', async (t) => {
  const app = await start(t)
  const [a, b, c] = [await openDevice(t, app, alice), await openDevice(t, app, bob), await openDevice(t, app, carol)]
  const call_id = await connectCall(a, b)
  c.send(offerTo(bob))
  t.match(await next(c), {
    type: 'call.end',
    payload: { from_user: bob, to_user: carol, reason: 'user_busy', duration: 0 }
  })
  b.send(offerTo(carol))
  const error = await next(b)
  t.match(error, { type: 'error', payload: { error_code: 'CALL_BUSY', details: { call_id } } })
  t.notOk('reason' in error.payload.details)
  t.strictSame(await heardOfCalls(b), [])
})

void t.test('23: of two who call each other at once exactly one does', async (t) => {
  const app = await start(t)
  // Acknowledgements tell who has won; what the loser hears is the same for all clients.
  const [a, b] = [
    await openDevice(t, app, alice, { query: 'ext=1' }),
    await openDevice(t, app, bob, { query: 'ext=1' })
  ]
  for (let round = 0; round < 100; round++) {
    a.send({ ...offerTo(bob), id: `${round}` })
    b.send({ ...offerTo(alice), id: `${round}` })
    const [first, second] = await Promise.all([answered(a), answered(b)])
    const [winner, loser, lost] = first.answer.type === 'ack' ? [a, b, second] : [b, a, first]
    const won = winner === a ? first : second
    t.equal(won.answer.type, 'ack')
    const { call_id } = won.answer.payload.result
    const glare = { error_code: 'CALL_BUSY', details: { reason: 'glare', call_id } }
    t.match(lost.answer, { type: 'error', payload: glare })
    t.match(lost.before[0] ?? (await next(loser)), { type: 'call.offer', payload: { call_id } })
    t.strictSame([won.before.length, lost.before.length <= 1], [0, true])
    loser.send(answerTo(call_id))
    t.match(await next(winner), { type: 'call.answer', payload: { call_id } })
    winner.send(END)
    t.match(await next(loser), { type: 'call.end', payload: { call_id } })
  }
})

/** What came of a frame with an id, and what was heard before. */
async function answered(device: TestSocket): Promise<{ answer: any; before: any[] }> {
  const before: any[] = []
  for (;;) {
    const frame = await next(device)
    if (frame.type === 'ack' || frame.type === 'error') return { answer: frame, before }
    before.push(frame)
  }
}

void t.test('24: who is not answered in time hears of it, and so does who did not answer', async (t) => {
  const app = await start(t, { im_ring_timeout: 50 })
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  a.send(offerTo(bob))
  const { call_id } = (await next(b)).payload
  const end = { call_id, reason: 'timeout', duration: 0 }
  t.match(await next(b), { type: 'call.end', payload: { ...end, from_user: alice, to_user: bob } })
  t.match(await next(a), { type: 'call.end', payload: { ...end, from_user: bob, to_user: alice } })
})

void t.test('25: a connection that is lost', async (t) => {
  t.test('ends the call after a moment of grace', async (t) => {
    const app = await start(t, { im_call_grace: 50 })
    const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
    const call_id = await connectCall(a, b)
    a.socket.terminate()
    t.match(await next(b), { type: 'call.end', payload: { call_id, from_user: alice, reason: 'network_error' } })
    b.send(offerTo(alice))
    t.match(
      await next(b),
      { type: 'call.end', payload: { reason: 'timeout', duration: 0 } },
      'nobody is there any more'
    )
  })

  t.test('is replaced by the next one of the same session', async (t) => {
    const app = await start(t)
    const token = await app.signIn('alice', 'alice-secret')
    const [a, b] = [await openDevice(t, app, alice, { token }), await openDevice(t, app, bob)]
    const call_id = await connectCall(a, b)
    const left = new Promise((resolve) => app.lactea.gateway.devices.watch({ left: resolve }))
    a.socket.terminate()
    await left
    b.send({ type: 'call.ice', payload: { ice_candidate: candidate } })
    t.strictSame(await heardOfCalls(b), [])
    const stranger = await openDevice(t, app, alice)
    const back = await openDevice(t, app, alice, { token })
    t.match(await next(back), { type: 'call.ice', payload: { call_id, from_user: bob } })
    b.send(END)
    t.match(await next(back), { type: 'call.end', payload: { call_id, reason: 'user_hangup' } })
    t.strictSame(await heardOfCalls(stranger), [])
  })

  t.test('because its session was ended cannot come back', async (t) => {
    const app = await start(t, { im_call_grace: 50 })
    const token = await app.signIn('alice', 'alice-secret')
    const [a, b] = [await openDevice(t, app, alice, { token }), await openDevice(t, app, bob)]
    await connectCall(a, b)
    t.equal((await request(app, token, 'POST', '/api/auth/logout')).status, 200)
    t.match(await next(b), { type: 'call.end', payload: { reason: 'network_error' } })
  })
})

void t.test('26: an end without an id ends the one call of who says it', async (t) => {
  const app = await start(t)
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  a.send(offerTo(bob))
  const { call_id } = (await next(b)).payload
  a.send(END)
  t.match(await next(b), { type: 'call.end', payload: { call_id, reason: 'user_hangup', duration: 0 } })
  a.send(END)
  t.match(await next(a), { type: 'error', payload: { error_code: 'CALL_NOT_FOUND', details: { field: 'call_id' } } })
  a.send({ type: 'call.end', payload: { call_id } })
  t.strictSame(await heardOfCalls(a), [], 'an end of a known call again is no mistake')
})

void t.test('clients of the extension profile', async (t) => {
  t.test('hear the id in the acknowledgement, before the end of a call to nobody, and why it ended', async (t) => {
    const app = await start(t)
    const a = await openDevice(t, app, alice, { query: 'ext=1' })
    a.send({ ...offerTo(bob), id: 'c-1' })
    const ack = await next(a)
    t.match(ack, { type: 'ack', payload: { request_id: 'c-1', result: { call_id: /^call_/ } } })
    t.match(await next(a), {
      type: 'call.end',
      payload: { call_id: ack.payload.result.call_id, reason: 'timeout' },
      x: { detail: 'user_offline' }
    })
  })

  t.test('offer within a call; others cannot, whatever they write', async (t) => {
    const app = await start(t)
    const [a, b] = [await openDevice(t, app, alice, { query: 'ext=1' }), await openDevice(t, app, bob)]
    const call_id = await connectCall(a, b)
    a.send(offerTo(bob, { call_id }))
    t.match(await next(b), { type: 'call.offer', payload: { call_id, from_user: alice } })
    b.send(answerTo(call_id))
    t.match(await next(a), { type: 'call.answer', payload: { call_id, from_user: bob } })
    b.send(offerTo(alice, { call_id, renegotiate: true }))
    t.match(await next(b), { type: 'error', payload: { error_code: 'CALL_STATE' } })
    t.strictSame(await heardOfCalls(a), [])
  })
})

void t.test('who offers too often is told to wait', async (t) => {
  const app = await start(t, { im_offer_burst: 1 })
  const a = await openDevice(t, app, alice)
  a.send(offerTo(bob))
  a.send(offerTo(bob))
  const types = [(await next(a)).type, (await next(a)).type]
  t.strictSame(new Set(types), new Set(['call.end', 'error']))
})

void t.test('what a crash has left live ends with the next start, and a stop ends what is live', async (t) => {
  const dir = makeDirectory(t)
  const first = await start(t, {}, { dir })
  const call_id = await connectCall(await openDevice(t, first, alice), await openDevice(t, first, bob))
  await first.lactea.app.close()

  const store = await openSqliteStore({ path: join(dir, 'data', 'lactea.db') })
  t.match(await store.findCall(call_id), { status: 'ended', reason: 'network_error' })
  const crashed = { id: 'the crashed one', callerId: alice, calleeId: bob, kind: 'audio', time: 1, check() {} } as const
  t.match(await store.beginCall(crashed), { type: 'begun' })
  await store.close()

  const again = await start(t, {}, { dir })
  t.match(await again.lactea.gateway.store.findCall('the crashed one'), { status: 'missed', reason: 'network_error' })
  await connectCall(await openDevice(t, again, alice), await openDevice(t, again, bob))
})

void t.test('over REST', async (t) => {
  t.test('the history of both sides is there, the newest first', async (t) => {
    const app = await start(t)
    const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
    const call_id = await connectCall(a, b)
    const token = await tokenOf(alice)
    const ongoing = (await request(app, token, 'GET', '/api/calls')).body
    t.match(ongoing, {
      success: true,
      calls: [
        {
          id: call_id,
          caller_id: alice,
          callee_id: bob,
          type: 'video',
          status: 'active',
          reason: '',
          start_time: TIMESTAMP,
          answered_at: TIMESTAMP,
          end_time: null,
          duration: 0
        }
      ],
      pagination: { page: 1, limit: 20, total: 1 }
    })
    t.strictSame(ongoing.data.calls, ongoing.calls)
    b.send(END)
    await next(a)
    const path = '/api/calls?page=1&limit=1'
    t.match((await request(app, await tokenOf(bob), 'GET', path)).body.calls, [
      { id: call_id, status: 'ended', reason: 'user_hangup', end_time: TIMESTAMP }
    ])
    t.strictSame((await request(app, await tokenOf(carol), 'GET', '/api/calls')).body.calls, [])
    t.equal((await request(app, 'no token', 'GET', '/api/calls')).status, 401)
  })

  t.test('a call is ended by its parties, and by nobody else', async (t) => {
    const app = await start(t)
    const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
    const call_id = await connectCall(a, b)
    const path = `/api/calls/${call_id}/end`
    t.match(await request(app, await tokenOf(carol), 'POST', path), { status: 404, body: { code: 'CALL_NOT_FOUND' } })
    t.match(await request(app, await tokenOf(bob), 'POST', path, { reason: 5 }), { status: 400 })
    t.match(await request(app, await tokenOf(bob), 'POST', path, { reason: 'enough' }), {
      status: 200,
      body: { success: true }
    })
    t.match(await next(a), { type: 'call.end', payload: { call_id, from_user: bob, reason: 'enough' } })
    t.match(await next(b), { type: 'call.end', payload: { call_id, from_user: alice, reason: 'enough' } })
    t.match(await request(app, await tokenOf(bob), 'POST', path), { status: 200 })
  })

  t.test('no STUN and TURN servers are told unless there are some', async (t) => {
    const app = await start(t)
    const { body } = await request(app, await tokenOf(alice), 'GET', '/api/calls/ice-servers')
    t.strictSame(body, { success: true, ice_servers: [], ttl: 86_400, data: { ice_servers: [], ttl: 86_400 } })
  })

  t.test('STUN and TURN servers are told with a password that ends, and without the secret', async (t) => {
    const ice_servers = [{ urls: ['stun:a'] }, { urls: ['turn:b?transport=udp', 'turns:b'], secret: 'CANARY' }]
    const app = await start(t, {}, { im: { ice_servers } })
    const { body } = await request(app, await tokenOf(alice), 'GET', '/api/calls/ice-servers')
    const [stun, turn] = body.ice_servers
    t.strictSame(stun, { urls: ['stun:a'] })
    const [expiry, user] = turn.username.split(':')
    t.equal(user, String(alice))
    t.ok(Math.abs(Number(expiry) - Date.now() / 1000 - body.ttl) < 60)
    const credential = createHmac('sha1', 'CANARY').update(turn.username).digest('base64')
    t.strictSame(turn, { urls: ['turn:b?transport=udp', 'turns:b'], username: turn.username, credential })
    t.notMatch(JSON.stringify(body), /CANARY/)
    t.equal((await request(app, 'no token', 'GET', '/api/calls/ice-servers')).status, 401)
  })
})
