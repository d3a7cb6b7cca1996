import fc from 'fast-check'
import t from 'tap'
import { alice, bob, GROUP, heardSoFar, openDevice, startPeople } from '../helpers/people.ts'

// Whatever a client of the people sends, it gets an answer in the document's form, its connection lives, and nothing is
// broken for the others. `openDevice` holds every answer against the schemas.

// Without those that are limited by the second, whose flood would be what ends the connection.
const TYPES = [
  'message.send',
  'message.edit',
  'message.delete',
  'message.read',
  'presence',
  'call.offer',
  'call.answer',
  'call.ice',
  'call.end',
  'ping',
  'sync',
  'auth',
  'auth.refresh',
  'message.delivered',
  '__proto__',
  ''
]

const KEYS = [
  'chat_id',
  'receiver_id',
  'message_id',
  'content',
  'message_type',
  'reply_to_id',
  'file_id',
  'file_url',
  'file_name',
  'is_typing',
  'is_online',
  'status',
  'to_user',
  'call_id',
  'call_type',
  'sdp',
  'ice_candidates',
  'ice_candidate',
  'reason',
  'known',
  'limit',
  'token',
  'user_ids',
  'random_id',
  'ttl_seconds',
  '__proto__',
  'constructor'
]

/** Good values, so that a frame gets far, and every kind of bad one. */
const value = fc.oneof(
  fc.constantFrom<unknown>(
    GROUP,
    alice,
    bob,
    10001,
    1,
    2,
    'hello',
    true,
    'audio',
    'image',
    'v=0',
    'https://example.org/a'
  ),
  fc.constantFrom<unknown>(null, 0, -1, 1.5, 2 ** 53, 1e308, '', ' ', '\u0000', '💥'.repeat(50), [], {}, false),
  fc.constantFrom<unknown>(
    [null],
    [{}],
    [{ candidate: 'candidate:1' }],
    { candidate: 5 },
    { type: 'offer', sdp: 'v=0' }
  ),
  fc.jsonValue({ maxDepth: 3 })
)
const frame = fc.record(
  {
    type: fc.constantFrom<unknown>(...TYPES, ...TYPES, 5, null, {}),
    payload: fc.oneof({ weight: 9, arbitrary: fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 6 }) }, value),
    data: fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 2 }),
    id: fc.oneof(fc.string({ maxLength: 80 }), value),
    x: fc.oneof(fc.dictionary(fc.constantFrom('client_msg_id', 'expected_rev', 'renegotiate'), value), value)
  },
  { requiredKeys: ['type'] }
)

void t.test('no frame breaks anything', async (t) => {
  const plenty = 1_000_000
  const limits = {
    im_frame_rate: plenty,
    im_frame_burst: plenty,
    im_message_rate: plenty,
    im_message_burst: plenty,
    im_chat_rate: plenty,
    im_read_rate: plenty,
    im_read_burst: plenty,
    im_offer_burst: plenty,
    im_ring_timeout: 50
  }
  const app = await startPeople(t, { limits }, { logLevel: 'info' })
  for (const query of ['', 'ext=1']) {
    const device = await openDevice(t, app, alice, { query })
    const bystander = await openDevice(t, app, bob)
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 20 }), async (frames) => {
        for (const one of frames) device.send(one)
        const heard = await heardSoFar(device)
        for (const { type, payload } of heard)
          if (type === 'error' && payload.error_code === 'INTERNAL_ERROR') throw new Error(JSON.stringify(payload))
        if (query === '') return
        // Each frame with an id of its own is answered by exactly one ack or error.
        const ids = frames.flatMap(({ id }) => (typeof id === 'string' && id.length <= 64 ? [id] : []))
        const answers = heard.flatMap(({ type, payload }) => {
          const id = type === 'ack' ? payload.request_id : type === 'error' ? payload.details.request_id : undefined
          return id === undefined ? [] : [id]
        })
        if (answers.length !== ids.length) throw new Error(`${ids.length} ids, ${answers.length} answers`)
      }),
      { numRuns: 600, interruptAfterTimeLimit: 6000 }
    )
    await heardSoFar(bystander)
    t.equal(device.socket.readyState, device.socket.OPEN, `${query || 'base'} lives`)
    device.socket.close()
    await device.closed
  }
  t.equal(app.lines.length, 1, 'and nothing but the start was worth a line in the log')
})
