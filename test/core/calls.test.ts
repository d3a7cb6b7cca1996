import t, { type Test } from 'tap'
import { createCalls } from '../../src/core/calls.ts'
import { START } from './world.ts'
import { candidate, openStage, people, SDP, type Stage } from './call-stage.ts'

const { a, b, c } = people

const media = { callId: undefined, kind: 'audio', mayRenew: false, sdp: SDP, candidates: [] } as const

/** The call of these tests is from `a1` to `b`, whose `b1` answers while `b2` rings too; `c` is somebody else. */
type State = 'none' | 'ringing' | 'active' | 'ended'

async function openCall(t: Test, state: State): Promise<Stage> {
  const stage = await openStage(t)
  if (state !== 'none') await stage.offer('a1', 'b')
  if (state === 'active' || state === 'ended') await stage.answer('b1', 'call_001')
  await stage.pass(5)
  if (state === 'ended') await stage.end('a1', 'call_001')
  await stage.heard()
  return stage
}

type Work = (stage: Stage) => Promise<unknown>
type Cell = readonly [event: string, work: Work, outcome: unknown, heard: readonly string[], status?: string]

/** What becomes of every event in every state (contract 2.5, table). */
const TABLE: { readonly [S in State]: readonly Cell[] } = {
  none: [
    ['offer', ({ offer }) => offer('a1', 'b'), 'ok', ['b1 offer call_001', 'b2 offer call_001'], 'ringing'],
    ['answer', ({ answer }) => answer('b1', 'call_001'), 'no_call', []],
    ['ice', ({ send }) => send('a1', 'call_001'), 'no_call', []],
    ['ice without an id', ({ send }) => send('a1', undefined), 'no_call', []],
    ['end', ({ end }) => end('a1', 'call_001'), 'no_call', []],
    ['end without an id', ({ end }) => end('a1'), 'no_call', []]
  ],
  ringing: [
    ['offer of the caller again', ({ offer }) => offer('a1', 'b'), 'busy call_001', [], 'ringing'],
    [
      'offer of the caller with the same id',
      ({ offer }) => offer('a1', 'b', { call_id: 'call_001' }),
      'busy call_001',
      [],
      'ringing'
    ],
    ['offer of the caller to somebody else', ({ offer }) => offer('a1', 'c'), 'busy call_001', [], 'ringing'],
    ['offer of the callee to the caller', ({ offer }) => offer('b1', 'a'), 'busy glare call_001', [], 'ringing'],
    ['offer of the callee to somebody else', ({ offer }) => offer('b1', 'c'), 'busy call_001', [], 'ringing'],
    ['offer to the caller', ({ offer }) => offer('c1', 'a'), 'ok', ['c1 end call_002 user_busy 0s'], 'ringing'],
    ['offer to the callee', ({ offer }) => offer('c1', 'b'), 'ok', ['c1 end call_002 user_busy 0s'], 'ringing'],
    [
      'answer of the callee',
      ({ answer }) => answer('b1', 'call_001'),
      'ok',
      ['a1 answer call_001', 'b2 end call_001 answered_elsewhere 0s'],
      'active'
    ],
    ['answer of the caller', ({ answer }) => answer('a1', 'call_001'), 'wrong_state', [], 'ringing'],
    ['answer over REST', ({ answer }) => answer('b', 'call_001'), 'wrong_state', [], 'ringing'],
    ['answer of somebody else', ({ answer }) => answer('c1', 'call_001'), 'no_call', [], 'ringing'],
    [
      'ice of the caller',
      ({ send }) => send('a1', 'call_001', 7),
      'ok',
      ['b1 ice call_001 candidate:7', 'b2 ice call_001 candidate:7'],
      'ringing'
    ],
    [
      'ice of the caller without an id',
      ({ send }) => send('a1', undefined, 7),
      'ok',
      ['b1 ice call_001 candidate:7', 'b2 ice call_001 candidate:7'],
      'ringing'
    ],
    ['ice of the callee', ({ send }) => send('b1', 'call_001'), 'wrong_state', [], 'ringing'],
    ['ice of somebody else', ({ send }) => send('c1', 'call_001'), 'no_call', [], 'ringing'],
    [
      'end of the caller',
      ({ end }) => end('a1', 'call_001'),
      'ok',
      ['b1 end call_001 user_hangup 0s', 'b2 end call_001 user_hangup 0s'],
      'missed user_hangup'
    ],
    [
      'end of the caller without an id, for a reason',
      ({ end }) => end('a1', undefined, 'timeout'),
      'ok',
      ['b1 end call_001 timeout 0s', 'b2 end call_001 timeout 0s'],
      'missed timeout'
    ],
    [
      'end of the caller over REST',
      ({ end }) => end('a', 'call_001'),
      'ok',
      ['a1 end call_001 user_hangup 0s', 'b1 end call_001 user_hangup 0s', 'b2 end call_001 user_hangup 0s'],
      'missed user_hangup'
    ],
    [
      'end of the callee',
      ({ end }) => end('b2', 'call_001'),
      'ok',
      ['a1 end call_001 user_rejected 0s', 'b1 end call_001 user_rejected 0s'],
      'rejected user_rejected'
    ],
    [
      'end of the callee without an id, for a reason',
      ({ end }) => end('b2', undefined, 'in a meeting'),
      'ok',
      ['a1 end call_001 in a meeting 0s', 'b1 end call_001 in a meeting 0s'],
      'rejected in a meeting'
    ],
    [
      'end of the callee over REST',
      ({ end }) => end('b', 'call_001'),
      'ok',
      ['a1 end call_001 user_rejected 0s', 'b1 end call_001 user_rejected 0s', 'b2 end call_001 user_rejected 0s'],
      'rejected user_rejected'
    ],
    ['end of somebody else', ({ end }) => end('c1', 'call_001'), 'no_call', [], 'ringing'],
    [
      'timeout',
      ({ pass }) => pass(25),
      undefined,
      ['a1 end call_001 timeout 0s', 'b1 end call_001 timeout 0s', 'b2 end call_001 timeout 0s'],
      'missed timeout'
    ],
    ['a moment before the timeout', ({ pass }) => pass(24), undefined, [], 'ringing'],
    [
      'loss of the caller',
      loses('a1', 10),
      undefined,
      ['b1 end call_001 network_error 0s', 'b2 end call_001 network_error 0s'],
      'missed network_error'
    ],
    ['loss of the caller for a moment', loses('a1', 9), undefined, [], 'ringing'],
    ['loss of a device of the callee', loses('b1', 15), undefined, [], 'ringing']
  ],
  active: [
    ['offer of the caller', ({ offer }) => offer('a1', 'b'), 'busy call_001', [], 'active'],
    [
      'offer of the caller with the same id',
      ({ offer }) => offer('a1', 'b', { call_id: 'call_001' }),
      'wrong_state',
      [],
      'active'
    ],
    ['offer of the callee', ({ offer }) => offer('b1', 'a'), 'busy call_001', [], 'active'],
    ['offer to one of them', ({ offer }) => offer('c1', 'b'), 'ok', ['c1 end call_002 user_busy 0s'], 'active'],
    ['answer again', ({ answer }) => answer('b1', 'call_001'), 'wrong_state', [], 'active'],
    ['answer of another device', ({ answer }) => answer('b2', 'call_001'), 'wrong_state', [], 'active'],
    ['answer of somebody else', ({ answer }) => answer('c1', 'call_001'), 'no_call', [], 'active'],
    ['ice of the caller', ({ send }) => send('a1', 'call_001', 7), 'ok', ['b1 ice call_001 candidate:7'], 'active'],
    ['ice of the callee', ({ send }) => send('b1', 'call_001', 7), 'ok', ['a1 ice call_001 candidate:7'], 'active'],
    ['ice without an id', ({ send }) => send('b1', undefined, 7), 'ok', ['a1 ice call_001 candidate:7'], 'active'],
    ['ice of another device', ({ send }) => send('b2', 'call_001'), 'wrong_state', [], 'active'],
    ['ice of somebody else', ({ send }) => send('c1', 'call_001'), 'no_call', [], 'active'],
    ['end of the caller', ({ end }) => end('a1'), 'ok', ['b1 end call_001 user_hangup 5s'], 'ended user_hangup'],
    [
      'end of the callee',
      ({ end }) => end('b1', 'call_001'),
      'ok',
      ['a1 end call_001 user_hangup 5s'],
      'ended user_hangup'
    ],
    [
      'end for a reason',
      ({ end }) => end('b1', 'call_001', 'server_error'),
      'ok',
      ['a1 end call_001 server_error 5s'],
      'ended server_error'
    ],
    [
      'end over REST',
      ({ end }) => end('b', 'call_001'),
      'ok',
      ['a1 end call_001 user_hangup 5s', 'b1 end call_001 user_hangup 5s'],
      'ended user_hangup'
    ],
    ['end of another device', ({ end }) => end('b2', 'call_001'), 'wrong_state', [], 'active'],
    ['end of somebody else', ({ end }) => end('c1', 'call_001'), 'no_call', [], 'active'],
    ['time', ({ pass }) => pass(3600), undefined, [], 'active'],
    ['loss of the caller', loses('a1', 10), undefined, ['b1 end call_001 network_error 15s'], 'ended network_error'],
    ['loss of the callee', loses('b1', 10), undefined, ['a1 end call_001 network_error 15s'], 'ended network_error'],
    ['loss of another device', loses('b2', 60), undefined, [], 'active']
  ],
  ended: [
    ['offer', ({ offer }) => offer('a1', 'b'), 'ok', ['b1 offer call_002', 'b2 offer call_002'], 'ended user_hangup'],
    [
      'offer with the same id',
      ({ offer }) => offer('a1', 'b', { call_id: 'call_001' }),
      'ok',
      ['b1 offer call_002', 'b2 offer call_002'],
      'ended user_hangup'
    ],
    ['answer', ({ answer }) => answer('b1', 'call_001'), 'wrong_state', []],
    ['answer of somebody else', ({ answer }) => answer('c1', 'call_001'), 'no_call', []],
    ['ice', ({ send }) => send('b1', 'call_001'), 'ok', []],
    ['ice of somebody else', ({ send }) => send('c1', 'call_001'), 'no_call', []],
    ['end of the one', ({ end }) => end('a1', 'call_001', 'again'), 'ok', [], 'ended user_hangup'],
    ['end of the other', ({ end }) => end('b2', 'call_001', 'again'), 'ok', [], 'ended user_hangup'],
    ['end without an id', ({ end }) => end('a1'), 'no_call', []],
    ['end of somebody else', ({ end }) => end('c1', 'call_001'), 'no_call', []],
    ['loss', loses('a1', 60), undefined, [], 'ended user_hangup']
  ]
}

function loses(device: string, seconds: number): Work {
  return ({ lose, pass }) => {
    lose(device)
    return pass(seconds)
  }
}

for (const [state, cells] of Object.entries(TABLE) as [State, readonly Cell[]][]) {
  void t.test(`${state}:`, async (t) => {
    for (const [event, work, outcome, heard, status] of cells) {
      t.test(event, async (t) => {
        const stage = await openCall(t, state)
        t.strictSame(await work(stage), outcome)
        t.strictSame(await stage.heard(), heard)
        if (status !== undefined) t.equal(await stage.statusOf('call_001'), status)
      })
    }
  })
}

void t.test('what is told', async (t) => {
  t.test('is the offer, the answer, candidates and the end, with all that they carry', async (t) => {
    const { offer, answer, send, end, pass, told } = await openStage(t, ['a1', 'b1'])
    await offer('a1', 'b', { call_type: 'video', sdp: { type: 'offer', sdp: 'v=1' }, ice_candidates: [candidate(1)] })
    await pass(2)
    await answer('b1', 'call_001', { ice_candidates: [candidate(2)] })
    await send('a1', 'call_001', 3)
    await pass(60)
    await end('b1')
    const parties = (fromId: number, toId: number) => ({ callId: 'call_001', fromId, toId })
    t.strictSame(
      (await told()).map(({ kind, data, onlyDevice }) => [kind, onlyDevice, data]),
      [
        [
          'call.offered',
          'b1',
          { ...parties(a, b), kind: 'video', sdp: 'v=1', candidates: [candidate(1)], createdAt: START }
        ],
        ['call.answered', 'a1', { ...parties(b, a), sdp: SDP, candidates: [candidate(2)], answeredAt: START + 2 }],
        ['call.candidate', 'b1', { ...parties(a, b), candidate: candidate(3) }],
        ['call.ended', 'a1', { ...parties(b, a), reason: 'user_hangup', durationS: 60, endedAt: START + 62 }]
      ]
    )
  })

  t.test('that it ended is told each as the doing of the other', async (t) => {
    const { offer, pass, told } = await openStage(t, ['a1', 'b1'])
    await offer('a1', 'b')
    await told()
    await pass(30)
    t.match(await told(), [
      { onlyDevice: 'a1', data: { fromId: b, toId: a } },
      { onlyDevice: 'b1', data: { fromId: a, toId: b } }
    ])
  })

  t.test('of a candidate is what the document has a word for, null included', async (t) => {
    const { offer, ask, told } = await openStage(t, ['a1', 'b1'])
    await offer('a1', 'b')
    await told()
    const given = { candidate: '', sdpMLineIndex: null, usernameFragment: 'x' }
    t.equal(await ask('a1', 'send_call_candidate', { ice_candidate: given }), 'ok')
    t.strictSame(
      (await told()).map(({ data }) => data),
      [{ callId: 'call_001', fromId: a, toId: b, candidate: { candidate: '', sdpMLineIndex: null } }]
    )
  })
})

void t.test('whom one may call', async (t) => {
  t.test('nobody is there: the call is missed at once', async (t) => {
    const { offer, heard, statusOf } = await openStage(t, ['a1'])
    t.equal(await offer('a1', 'b'), 'ok')
    t.strictSame(await heard(), ['a1 end call_001 timeout 0s user_offline'])
    t.equal(await statusOf('call_001'), 'missed timeout')
    t.equal(await offer('a1', 'b'), 'ok', 'nobody stayed busy')
  })

  t.test('bots do not ring', async (t) => {
    const { offer, heard } = await openStage(t, ['a1', 'bot1'])
    t.equal(await offer('a1', 'bot'), 'ok')
    t.strictSame(await heard(), ['a1 end call_001 timeout 0s user_offline'])
    t.equal(await offer('bot1', 'a'), 'wrong_state', 'nor call')
  })

  t.test('oneself is invalid', async (t) => {
    const { ask } = await openStage(t)
    t.equal(await ask('a1', 'offer_call', { to_user: a, call_type: 'audio', sdp: SDP }), 'invalid')
  })

  t.test('strangers, nobody, and who was switched off are not found', async (t) => {
    const { ask, accounts, groups, writeTo } = await openStage(t)
    const call = (to_user: number): Promise<string> =>
      ask('a1', 'offer_call', { to_user, call_type: 'audio', sdp: SDP })
    await groups.get(a, 100001)
    t.equal(await call(10005), 'not_found', 'a group in common is not enough')
    t.equal(await call(4242), 'not_found')
    await writeTo(10005, a, 'hello')
    t.equal(await call(10005), 'ok')
    await accounts.remove(b)
    t.equal(await call(b), 'not_found')
  })

  t.test('who has blocked whom is forbidden, whoever it was', async (t) => {
    const { offer, contacts, heard } = await openStage(t)
    await contacts.block(b, a)
    t.equal(await offer('a1', 'b'), 'forbidden blocked')
    t.equal(await offer('b1', 'a'), 'forbidden blocked')
    await contacts.unblock(b, a)
    await heard()
    t.equal(await offer('a1', 'b'), 'ok')
  })

  t.test('a connection that is gone calls nobody, and neither does REST', async (t) => {
    const { offer, answer, lose, heard } = await openStage(t)
    lose('a1')
    t.equal(await offer('a1', 'b'), 'wrong_state')
    t.equal(await offer('a', 'b'), 'wrong_state')
    await offer('c1', 'b')
    await heard()
    lose('b1')
    t.equal(await answer('b1', 'call_001'), 'wrong_state')
    t.strictSame(await heard(), [], 'the other device rings on')
  })
})

void t.test('what an offer may be', async (t) => {
  const many = (count: number): object[] => Array.from({ length: count }, (_, index) => candidate(index))
  const offers: readonly [name: string, params: object, outcome: string][] = [
    ['without candidates', {}, 'ok'],
    ['with keys that nobody knows', { constraints: { audio: true } }, 'ok'],
    ['with 50 candidates', { ice_candidates: many(50) }, 'ok'],
    ['with 51 candidates', { ice_candidates: many(51) }, 'invalid'],
    ['with a candidate that is a string', { ice_candidates: ['candidate:1'] }, 'invalid'],
    ['with a candidate without its text', { ice_candidates: [{ sdpMid: '0' }] }, 'invalid'],
    ['with a candidate of 2 KiB', { ice_candidates: [{ candidate: 'x'.repeat(2048) }] }, 'ok'],
    ['with a candidate of more', { ice_candidates: [{ candidate: 'x'.repeat(2049) }] }, 'invalid'],
    ['without SDP', { sdp: undefined }, 'invalid'],
    ['with an empty SDP', { sdp: '' }, 'invalid'],
    ['with an SDP of 48 KiB', { sdp: 'x'.repeat(49_152) }, 'ok'],
    ['with a longer SDP', { sdp: 'x'.repeat(49_153) }, 'invalid'],
    ['with an SDP as browsers have it', { sdp: { type: 'offer', sdp: SDP } }, 'ok'],
    ['with an object that holds no SDP', { sdp: { type: 'offer' } }, 'invalid'],
    ['of a kind that there is not', { call_type: 'smell' }, 'invalid'],
    ['of no kind', { call_type: undefined }, 'invalid'],
    ['to a name', { to_user: 'bob' }, 'invalid'],
    ['with an id that is no string', { call_id: 5 }, 'ok'],
    ['with an id that is too short', { call_id: 'short' }, 'ok']
  ]
  for (const [name, params, outcome] of offers) {
    t.test(`${name}: ${outcome}`, async (t) => {
      const { offer, heard } = await openStage(t, ['a1', 'b1'])
      t.equal(await offer('a1', 'b', params), outcome)
      t.strictSame(await heard(), outcome === 'ok' ? ['b1 offer call_001'] : [])
    })
  }

  t.test('callers may choose the id; one that was used is replaced', async (t) => {
    const { dispatch, offer, end, heard } = await openStage(t, ['a1', 'b1', 'c1'])
    const params = { to_user: b, call_type: 'audio', sdp: SDP, call_id: 'my.call~1-2_3' }
    t.strictSame(await dispatch(a, 'offer_call', params, 'a1'), { ok: true, data: { call_id: 'my.call~1-2_3' } })
    await end('a1')
    t.strictSame(await dispatch(c, 'offer_call', params, 'c1'), { ok: true, data: { call_id: 'call_001' } })
    await end('c1')
    await heard()
    await Promise.all([offer('a1', 'b', { call_id: 'the.same.id' }), offer('c1', 'b', { call_id: 'the.same.id' })])
    const [first, second] = (await heard()).toSorted()
    t.strictSame([first, second], ['b1 offer the.same.id', 'c1 end call_002 user_busy 0s'])
  })
})

void t.test('one side of a call sends 200 candidates', async (t) => {
  const { offer, answer, send, heard, connect } = await openStage(t, ['a1', 'b1'])
  await offer('a1', 'b', { ice_candidates: Array.from({ length: 50 }, (_, index) => candidate(index)) })
  for (let number = 51; number <= 160; number++) t.equal(await send('a1', 'call_001', number), 'ok')
  await heard()
  connect('b2')
  const kept = await heard()
  t.equal(kept[0], 'b2 offer call_001')
  t.strictSame(
    [kept.length - 1, kept[1], kept.at(-1)],
    [100, 'b2 ice call_001 candidate:51', 'b2 ice call_001 candidate:150']
  )
  await answer('b1', 'call_001')
  for (let number = 161; number <= 200; number++) t.equal(await send('a1', 'call_001', number), 'ok')
  t.equal(await send('a1', 'call_001', 201), 'too_large')
  t.equal(await send('b1', 'call_001', 1), 'ok', 'each side by itself')
})

void t.test('a device that comes while it rings', async (t) => {
  t.test('hears the offer and the candidates so far, once', async (t) => {
    const { offer, send, connect, heard } = await openStage(t, ['a1', 'b1'])
    const offered = offer('a1', 'b')
    connect('b2')
    await offered
    connect('b3')
    await send('a1', 'call_001', 7)
    connect('b4')
    const words = await heard()
    for (const device of ['b1', 'b2', 'b3', 'b4']) {
      t.strictSame(
        words.filter((word) => word.startsWith(device)),
        [`${device} offer call_001`, `${device} ice call_001 candidate:7`]
      )
    }
  })

  t.test('may answer', async (t) => {
    const { offer, answer, connect, heard } = await openStage(t, ['a1', 'b1'])
    await offer('a1', 'b')
    connect('b2')
    await heard()
    t.equal(await answer('b2', 'call_001'), 'ok')
    t.strictSame(await heard(), ['a1 answer call_001', 'b1 end call_001 answered_elsewhere 0s'])
  })

  t.test('hears nothing when it comes after the answer, or to the caller', async (t) => {
    const { offer, answer, connect, heard } = await openStage(t, ['a1', 'b1'])
    await offer('a1', 'b')
    await heard()
    connect('a2')
    t.strictSame(await heard(), [])
    const answered = answer('b1', 'call_001')
    connect('b2')
    await answered
    connect('b3')
    t.strictSame(await heard(), ['b2 offer call_001', 'a1 answer call_001', 'b2 end call_001 answered_elsewhere 0s'])
  })
})

void t.test('who loses the connection', async (t) => {
  t.test('goes on with the next one of the same session, and hears what was sent meanwhile', async (t) => {
    const { lose, connect, send, end, heard, pass } = await openCall(t, 'active')
    lose('a1')
    await send('b1', 'call_001', 1)
    await pass(9)
    connect('a2', 'another session')
    t.strictSame(await heard(), [])
    await send('b1', 'call_001', 2)
    connect('a3', 'session of a1')
    t.strictSame(await heard(), ['a3 ice call_001 candidate:1', 'a3 ice call_001 candidate:2'])
    await pass(60)
    t.equal(await send('a2', 'call_001', 3), 'wrong_state')
    t.equal(await send('a3', 'call_001', 3), 'ok')
    t.equal(await end('b1'), 'ok')
    t.strictSame(await heard(), ['b1 ice call_001 candidate:3', 'a3 end call_001 user_hangup 74s'])
  })

  t.test('while it rings hears the answer on coming back', async (t) => {
    const { lose, connect, answer, heard } = await openCall(t, 'ringing')
    lose('a1')
    t.equal(await answer('b1', 'call_001'), 'ok')
    t.strictSame(await heard(), ['b2 end call_001 answered_elsewhere 0s'])
    connect('a2', 'session of a1')
    t.strictSame(await heard(), ['a2 answer call_001'])
  })

  t.test('without a session goes on with any connection of the account', async (t) => {
    const { offer, answer, connect, lose, heard, send } = await openStage(t, ['b1'])
    connect('a1', null)
    await offer('a1', 'b')
    await answer('b1', 'call_001')
    lose('a1')
    connect('a2', 'some session')
    await heard()
    await send('b1', 'call_001', 1)
    t.strictSame(await heard(), ['a2 ice call_001 candidate:1'])
  })

  t.test('and came back before it was noticed goes on at once', async (t) => {
    const { connect, lose, send, heard, pass, statusOf } = await openCall(t, 'active')
    connect('a2', 'session of a1')
    await send('b1', 'call_001', 1)
    t.strictSame(await heard(), ['a1 ice call_001 candidate:1'], 'nobody knows yet')
    lose('a1')
    await pass(60)
    await send('b1', 'call_001', 2)
    t.strictSame(await heard(), ['a2 ice call_001 candidate:2'])
    connect('a3', 'session of a1')
    t.equal(await send('a3', 'call_001', 3), 'ok', 'or as soon as it speaks')
    await send('b1', 'call_001', 4)
    t.strictSame(await heard(), ['b1 ice call_001 candidate:3', 'a3 ice call_001 candidate:4'])
    lose('a2')
    await pass(60)
    t.equal(await statusOf('call_001'), 'active')
  })

  t.test('and whose successor goes as well is waited for', async (t) => {
    const { connect, lose, heard, pass } = await openCall(t, 'active')
    connect('a2', 'session of a1')
    lose('a2')
    lose('a1')
    await pass(10)
    t.strictSame(await heard(), ['b1 end call_001 network_error 15s'])
  })

  t.test('hears on coming back that the call has ended meanwhile', async (t) => {
    const { connect, lose, end, heard, pass } = await openCall(t, 'active')
    lose('a1')
    await end('b1')
    await pass(5)
    connect('a2', 'session of a1')
    t.strictSame(await heard(), ['a2 end call_001 user_hangup 5s'])
    connect('a3', 'session of a1')
    t.strictSame(await heard(), [], 'once')
  })

  t.test('may still end the call with its last words', async (t) => {
    const { lose, end, heard } = await openCall(t, 'active')
    lose('a1')
    t.equal(await end('a1'), 'ok')
    t.strictSame(await heard(), ['b1 end call_001 user_hangup 5s'])
  })

  t.test('on both sides ends the call once', async (t) => {
    const { lose, heard, pass, statusOf, clock } = await openCall(t, 'active')
    const before = clock.waiting()
    lose('a1')
    lose('b1')
    await pass(60)
    t.strictSame(await heard(), [])
    t.equal(await statusOf('call_001'), 'ended network_error')
    t.equal(clock.waiting(), before, 'nothing is waited for any more')
  })

  t.test('while the call is being made is noticed', async (t) => {
    const { calls, lose, heard, pass } = await openStage(t, ['a1', 'b1'])
    const offered = calls.offer({ accountId: a, deviceId: 'a1' }, { ...media, toId: b })
    lose('a1')
    await offered
    await pass(10)
    t.strictSame(await heard(), ['b1 offer call_001', 'b1 end call_001 network_error 0s'])
  })

  t.test('while the answer is being written is noticed', async (t) => {
    const { calls, lose, heard, pass } = await openCall(t, 'ringing')
    const answered = calls.answer({ accountId: b, deviceId: 'b1' }, 'call_001', media)
    // As far as it comes within this turn: up to the store.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    lose('b1')
    await answered
    await pass(10)
    t.strictSame(await heard(), [
      'a1 answer call_001',
      'b2 end call_001 answered_elsewhere 0s',
      'a1 end call_001 network_error 10s'
    ])
  })
})

void t.test('races', async (t) => {
  t.test('of two devices that answer at once one is in the call', async (t) => {
    const { answer, heard } = await openCall(t, 'ringing')
    t.strictSame(await Promise.all([answer('b1', 'call_001'), answer('b2', 'call_001')]), ['ok', 'wrong_state'])
    t.strictSame(await heard(), ['a1 answer call_001', 'b2 end call_001 answered_elsewhere 0s'])
  })

  t.test('an answer that comes before the timeout counts, one that comes after it does not', async (t) => {
    const first = await openCall(t, 'ringing')
    const answered = first.calls.answer({ accountId: b, deviceId: 'b1' }, 'call_001', media)
    await first.pass(25)
    await answered
    t.equal(await first.statusOf('call_001'), 'active')

    const second = await openCall(t, 'ringing')
    const passed = second.pass(25)
    t.equal(await second.answer('b1', 'call_001'), 'wrong_state')
    await passed
    t.equal(await second.statusOf('call_001'), 'missed timeout')
  })

  t.test('an answer and an end at once: the first one counts', async (t) => {
    const { answer, end, heard } = await openCall(t, 'ringing')
    t.strictSame(await Promise.all([answer('b1', 'call_001'), end('a1', 'call_001')]), ['ok', 'ok'])
    t.strictSame(await heard(), [
      'a1 answer call_001',
      'b2 end call_001 answered_elsewhere 0s',
      'b1 end call_001 user_hangup 0s'
    ])
  })

  t.test('an end and an answer at once: the call is over', async (t) => {
    const { answer, end, heard } = await openCall(t, 'ringing')
    t.strictSame(await Promise.all([end('a1', 'call_001'), answer('b1', 'call_001')]), ['ok', 'wrong_state'])
    t.strictSame(await heard(), ['b1 end call_001 user_hangup 0s', 'b2 end call_001 user_hangup 0s'])
  })

  t.test('both end at once: each hears of it once at most', async (t) => {
    const { end, heard } = await openCall(t, 'active')
    t.strictSame(await Promise.all([end('a1', 'call_001'), end('b1', 'call_001')]), ['ok', 'ok'])
    t.strictSame(await heard(), ['b1 end call_001 user_hangup 5s'])
  })

  t.test('candidates come after the answer that was before them', async (t) => {
    const { answer, send, heard } = await openCall(t, 'ringing')
    await Promise.all([answer('b1', 'call_001'), send('b1', 'call_001', 1), send('a1', 'call_001', 2)])
    t.strictSame(await heard(), [
      'a1 answer call_001',
      'b2 end call_001 answered_elsewhere 0s',
      'a1 ice call_001 candidate:1',
      'b1 ice call_001 candidate:2'
    ])
  })
})

void t.test('two who call each other at once: a thousand times exactly one call', async (t) => {
  const { dispatch, end, heard } = await openStage(t, ['a1', 'b1'])
  const params = (to_user: number): object => ({ to_user, call_type: 'audio', sdp: SDP })
  for (let round = 0; round < 1000; round++) {
    const [first, second] = round % 2 === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const)
    const [winner, loser] = await Promise.all([
      dispatch(people[first], 'offer_call', params(people[second]), `${first}1`),
      dispatch(people[second], 'offer_call', params(people[first]), `${second}1`)
    ])
    const { call_id: callId } = (winner.ok ? winner.data : {}) as { call_id: string }
    const error = loser.ok ? undefined : loser.error
    if (error?.reason !== 'busy' || error.details.cause !== 'glare' || error.details.callId !== callId)
      t.fail(`round ${round}: ${JSON.stringify([winner, loser])}`)
    await end(`${first}1`)
    const words = await heard()
    if (words.join() !== `${second}1 offer ${callId},${second}1 end ${callId} user_hangup 0s`)
      t.fail(`round ${round}: ${words.join()}`)
  }
})

void t.test('an offer within a call', async (t) => {
  const renewal = { call_id: 'call_001', renegotiate: true }

  t.test('goes to the other device, and its answer back', async (t) => {
    const { offer, answer, heard, statusOf } = await openCall(t, 'active')
    t.equal(await offer('b1', 'a', renewal), 'ok')
    t.strictSame(await heard(), ['a1 offer call_001'])
    t.equal(await answer('b1', 'call_001'), 'wrong_state', 'not by who has offered')
    t.equal(await answer('a1', 'call_001'), 'ok')
    t.equal(await answer('a1', 'call_001'), 'wrong_state', 'once')
    t.strictSame(await heard(), ['b1 answer call_001'])
    t.equal(await statusOf('call_001'), 'active')
  })

  t.test('may be made by both at once', async (t) => {
    const { offer, answer, heard } = await openCall(t, 'active')
    await Promise.all([offer('a1', 'b', renewal), offer('b1', 'a', renewal)])
    t.equal(await answer('b1', 'call_001'), 'ok')
    t.equal(await answer('a1', 'call_001'), 'ok')
    t.strictSame(await heard(), ['b1 offer call_001', 'a1 offer call_001', 'a1 answer call_001', 'b1 answer call_001'])
  })

  t.test('is refused from another device, without the wish for it, and when the call is over', async (t) => {
    const { offer, end, heard } = await openCall(t, 'active')
    t.equal(await offer('b2', 'a', renewal), 'wrong_state')
    await end('a1')
    await heard()
    t.equal(await offer('b1', 'a', renewal), 'wrong_state', 'who meant the old call does not ring again')
    t.strictSame(await heard(), [])
  })

  t.test('has candidates of its own', async (t) => {
    const { offer, send } = await openCall(t, 'active')
    for (let number = 1; number <= 200; number++) await send('a1', 'call_001', number)
    t.equal(await send('a1', 'call_001'), 'too_large')
    t.equal(await offer('a1', 'b', renewal), 'ok')
    t.equal(await send('a1', 'call_001'), 'ok')
  })
})

void t.test('that a call has ended is written later when it cannot be written now', async (t) => {
  const stage = await openStage(t, ['a1', 'b1'])
  const errors: unknown[] = []
  let failures = 2
  const { store, devices, clock } = stage
  const told: string[] = []
  const calls = createCalls({
    store: {
      ...store,
      endCall: async (id, end) => {
        if (failures-- > 0) throw new Error('the disk is full')
        return store.endCall(id, end)
      }
    },
    devices,
    clock,
    tell: ({ kind, onlyDevice }) => void told.push(`${onlyDevice} ${kind}`),
    onError: (err) => void errors.push(err),
    newId: () => 'the call',
    ringMs: 30_000,
    graceMs: 10_000
  })
  await calls.offer({ accountId: a, deviceId: 'a1' }, { ...media, toId: b })
  await stage.pass(30)
  t.equal(await stage.statusOf('the call'), 'ringing')
  await stage.pass(1)
  await stage.pass(1)
  t.equal(await stage.statusOf('the call'), 'missed timeout')
  t.strictSame(told, ['b1 call.offered', 'a1 call.ended', 'b1 call.ended'])
  t.equal(errors.length, 2)
  await calls.close()
})

void t.test('when the gateway stops, live calls end with network_error and no timer is left', async (t) => {
  const stage = await openCall(t, 'active')
  const before = stage.clock.waiting()
  stage.connect('a9')
  stage.lose('a1')
  await stage.offer('c1', 'b')
  await stage.calls.close()
  t.equal(await stage.statusOf('call_001'), 'ended network_error')
  t.ok(stage.clock.waiting() <= before + 1, 'but for those of presence')
})
