import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { sign, toSigningKey, verify } from '../../src/net/signature.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const other = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const stamp = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', time: 1614265330 }
const body = '{"test": 2432232314}'
const keys = [toSigningKey(secret)]
const headersWith = (signature: string, change: object = {}) => ({
  'webhook-id': stamp.id,
  'webhook-timestamp': String(stamp.time),
  'webhook-signature': signature,
  ...change
})

t.test('the vector of the specification', async (t) => {
  t.equal(sign(keys, stamp, body), 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  t.equal(new Webhook(secret).sign(stamp.id, new Date(stamp.time * 1000), body), sign(keys, stamp, body))
})

t.test('what is signed is believed, as text and as bytes, with the old key and the new', async (t) => {
  const both = sign([toSigningKey(other), ...keys], stamp, body)
  t.equal(both.split(' ').length, 2)
  for (const one of [secret, other])
    t.strictSame(verify([toSigningKey(one)], headersWith(both), body, stamp.time), stamp)
  t.strictSame(verify(keys, headersWith(both), Buffer.from(body), stamp.time), stamp)
  t.strictSame(verify(keys, headersWith(`v2,AAAA v1,AAAA ${both}`), body, stamp.time), stamp)
  const now = { id: 'msg_1', time: Math.floor(Date.now() / 1000) }
  const signature = sign([toSigningKey(other), ...keys], now, '{"a":"世界"}')
  const fresh = { 'webhook-id': now.id, 'webhook-timestamp': String(now.time), 'webhook-signature': signature }
  for (const one of [secret, other]) t.strictSame(new Webhook(one).verify('{"a":"世界"}', fresh), { a: '世界' })
})

t.test('five minutes either way, and not a second more', async (t) => {
  const headers = headersWith(sign(keys, stamp, body))
  for (const shift of [-300, 300]) t.strictSame(verify(keys, headers, body, stamp.time + shift), stamp, `${shift}`)
  for (const shift of [-301, 301])
    t.match(verify(keys, headers, body, stamp.time + shift), { fault: /more than 300 s/ })
})

t.test('anything else is not believed, and it is said why', async (t) => {
  const signature = sign(keys, stamp, body)
  const rows: [label: string, headers: object, body: string, fault: RegExp][] = [
    ['written again', headersWith(signature), '{"test":2432232314}', /does not fit/],
    ['another id', headersWith(signature, { 'webhook-id': 'msg_2' }), body, /does not fit/],
    ['another time', headersWith(signature, { 'webhook-timestamp': '1614265331' }), body, /does not fit/],
    ['the same time otherwise', headersWith(signature, { 'webhook-timestamp': '01614265330' }), body, /does not fit/],
    ['another key', headersWith(sign([toSigningKey(other)], stamp, body)), body, /does not fit/],
    ['no version', headersWith(signature.slice(3)), body, /does not fit/],
    ['half a signature', headersWith(signature.slice(0, 20)), body, /does not fit/],
    ['empty', headersWith(''), body, /does not fit/],
    ['a dot in the id', headersWith(signature, { 'webhook-id': 'msg_1.1614265330' }), body, /letters, digits/],
    ['no number', headersWith(signature, { 'webhook-timestamp': '1e9' }), body, /Unix seconds/],
    ['twice', headersWith(signature, { 'webhook-id': [stamp.id, stamp.id] }), body, /each once/],
    ['without', {}, body, /are needed/]
  ]
  for (const [label, headers, text, fault] of rows)
    t.match(verify(keys, headers as Record<string, string>, text, stamp.time), { fault }, label)
  t.match(verify([], headersWith(signature), body, stamp.time), { fault: /does not fit/ }, 'no key at all')
})
