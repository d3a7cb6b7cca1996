import { startApp, text, type Running } from '../helpers/app.ts'
import { envelope, isAck, isMessage, maimKeys, openApi, payloadFor } from '../helpers/maim-api.ts'
import { ask } from '../helpers/person.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { fault } from './lab/fault.ts'

const GROUP = 100001
const DEPTH = 10_000

/** Members that no object may have, whatever else it says. */
const HOSTILE: readonly [label: string, members: string][] = [
  ['10 000 lists', `"x":${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`],
  ['10 000 objects', `"x":${'{"":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`],
  ['__proto__', '"__proto__":{"polluted":1}'],
  ['__proto__ further in', '"x":[{"__proto__":{"polluted":1}}]'],
  ['__proto__ in escapes', '"\\u005f\\u005fproto__":{"polluted":1}'],
  ['__proto__ of __proto__', '"__proto__":{"__proto__":{"polluted":1}}'],
  ['a key twice', '"x":1,"x":2'],
  ['a key twice further in', '"x":{"y":[{"z":1,"z":1}]}'],
  ['a key twice, once in escapes', '"xy":1,"x\\u0079":2'],
  ['half of a surrogate pair', '"x":"\\ud800"'],
  ['the other half', '"x":"\\udc00\\ud800"'],
  ['half of a surrogate pair in a key', '"\\ud83d":1']
]

/** Where the id of a group belongs. */
const NO_IDS = [
  '1e400',
  '-1e400',
  '9007199254740992',
  '9007199254740993',
  '9223372036854775807',
  '9223372036854775808',
  '18446744073709551616',
  '1e308',
  '100001.5',
  '-100001'
]

const message = JSON.stringify(text('hostile'))

/** All the bodies that would say something in the group if they were taken, with how the door calls the group. */
function hostileBodies(idKey: string, words: string): [label: string, body: string][] {
  return [
    ...HOSTILE.map(([label, members]): [string, string] => [label, `{"${idKey}":${GROUP},${words},${members}}`]),
    ...NO_IDS.map((id): [string, string] => [id, `{"${idKey}":${id},${words}}`])
  ]
}

/** Everything that a pollution would change. */
function lookAtPrototypes(): string {
  const prototypes = [Object, Array, Function, String, Number, Boolean, Map, Set, Promise, Error].map(
    ({ prototype }) => prototype as object
  )
  return JSON.stringify(prototypes.map((one) => Reflect.ownKeys(one).map(String)))
}

fault({
  number: 28,
  title: 'JSON that is meant to break something',
  mark: 'JSON abuse: depth 10 000, `__proto__`, duplicate keys, 1e400, lone surrogates, ids above 2^53: 400, 0 prototype changes, 64-bit ids round-trip exactly.',
  async run({ t, figure }) {
    const plenty = 1_000_000
    const limits = { im_frame_rate: plenty, im_frame_burst: plenty, im_message_rate: plenty, im_message_burst: plenty }
    const maim = { keys: maimKeys, legacy_tokens: ['token-a', 'token-b'] }
    const app = await startApp(t, { config: { limits, maim } })
    const person = await app.signIn('alice', 'alice-secret')
    const before = lookAtPrototypes()
    const { store } = app.lactea.gateway
    const events = await store.lastEventId()
    let tries = 0
    const taken: string[] = []
    const note = (door: string, label: string, isRefused: boolean): void => {
      tries++
      if (!isRefused) taken.push(`${door}: ${label}`)
    }

    for (const [path, status] of [
      ['/send_group_message', 400],
      ['/api/send_group_message', 200]
    ] as const)
      for (const [label, body] of hostileBodies('group_id', `"message":${message}`)) {
        const answer = await ask(app, 'POST', path, { token: 'token-one', body })
        note(path, label, answer.status === status && answer.body.retcode === -400)
      }

    const bot = await openSocket(t, app.ws, { headers: { authorization: 'Bearer token-one' } })
    for (const [label, params] of hostileBodies('group_id', `"message":${message}`)) {
      bot.send(`{"action":"send_group_message","params":${params},"echo":7}`)
      const { data } = await bot.find(({ post_type }) => post_type === 'action_response')
      note('the socket of bots', label, data.retcode === -400 && data.echo === 7)
    }

    for (const [label, body] of hostileBodies('chat_id', '"message":"hostile"')) {
      const answer = await ask(app, 'POST', '/api/messages', { token: person, body })
      note('/api/messages', label, answer.status === 400 && answer.body.success === false)
    }
    const device = await openSocket(t, `${app.ws}/ws?token=${person}`)
    await device.next()
    for (const [label, payload] of hostileBodies('chat_id', '"content":"hostile"')) {
      device.send(`{"type":"message.send","id":"mine","payload":${payload}}`)
      const { type, payload: said } = await device.next()
      const { error_code: code, details } = said
      note(
        'the socket of people',
        label,
        type === 'error' && code === 'VALIDATION_ERROR' && details.request_id === 'mine'
      )
    }
    for (const id of NO_IDS) {
      const answer = await ask(app, 'GET', `/api/chats/${id}`, { token: person })
      note('/api/chats/:id', id, answer.status === 400 || answer.status === 404)
    }

    // Brains and adapters hear no codes: what cannot be said is `undeliverable`, to whoever is asked for.
    const brain = await openApi(t, app.ws, { key: 'key-brain' })
    for (const id of NO_IDS) {
      const group = `"group_info":{"platform":"lactea","group_id":"${id}"}`
      const info = `{"platform":"lactea","message_id":"a","time":1,${group}}`
      const payload = `{"message_info":${info},"message_segment":{"type":"text","data":"hostile"},"message_dim":{"api_key":"key-brain","platform":"lactea"}}`
      brain.send(`{"ver":1,"msg_id":"m-${id}","type":"sys_std","meta":{},"payload":${payload}}`)
      const ack = await brain.find(isAck)
      note('the socket of brains', id, ack.meta.acked_msg_id === `m-${id}` && ack.payload.undeliverable !== undefined)
    }

    figure('tries', tries, { atLeast: 100 })
    t.strictSame(taken, [])
    figure('not refused', taken.length, { is: 0 })
    figure('events because of them', (await store.lastEventId()) - events, { is: 0 })

    const damaged = [
      ...(await findDamagedEchoes(bot)),
      ...(await findDamagedByLegacy(t, app)),
      ...(await findDamagedByApi(t, app))
    ]
    t.strictSame(damaged, [])
    figure('numbers that changed on the way', damaged.length, { is: 0 })
    figure('prototype changes', lookAtPrototypes() === before ? 0 : 1, { is: 0 })

    const alive = await app.call('token-one', 'send_group_message', { group_id: GROUP, message: text('still here') })
    const heard = await device.find(({ type }) => type === 'message.new')
    figure(
      'doors that work afterwards',
      Number(alive.retcode === 0) + Number(heard.payload.message.content === 'still here'),
      {
        is: 2
      }
    )
  }
})

/** What is opaque to us has to come back digit by digit. */
const OPAQUE = [
  '9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
  '18446744073709551615',
  '12345678901234567890.12345678901234567890',
  '1e400',
  '1.0',
  '0.10',
  '{"id":9007199254740993,"ids":[9223372036854775807,{"deep":1e400}]}'
]

async function findDamagedEchoes(bot: TestSocket): Promise<string[]> {
  const damaged: string[] = []
  for (const echo of OPAQUE) {
    bot.send(`{"action":"get_login_info","echo":${echo}}`)
    const answer = await bot.nextText()
    // A number that is written in another way and is the same is no damage.
    if (!answer.endsWith(`"echo":${echo}}}`) && !isSameNumber(answer, echo)) damaged.push(`echo ${echo}: ${answer}`)
  }
  return damaged
}

function isSameNumber(answer: string, echo: string): boolean {
  const [, returned = ''] = /"echo":(.*)\}\}$/.exec(answer) ?? []
  return Math.abs(Number(echo)) < Number.MAX_SAFE_INTEGER && Number(returned) === Number(echo)
}

async function findDamagedByLegacy(t: Parameters<typeof openSocket>[0], app: Running): Promise<string[]> {
  const open = (authorization: string, platform: string): Promise<TestSocket> =>
    openSocket(t, `${app.ws}/maim/legacy/ws`, { headers: { authorization, platform } })
  const [a, b] = [await open('token-a', 'a'), await open('token-b', 'b')]
  const damaged: string[] = []
  for (const number of OPAQUE) {
    const frame = `{"message_info":{"platform":"b","message_id":${number},"time":1.50},"message_segment":{"type":"text","data":"x"}}`
    a.send(frame)
    if ((await b.nextText()) !== frame) damaged.push(`legacy ${number}`)
  }
  return damaged
}

async function findDamagedByApi(t: Parameters<typeof openSocket>[0], app: Running): Promise<string[]> {
  const [one, two] = [
    await openApi(t, app.ws, { key: 'key-one', platform: 'wx' }),
    await openApi(t, app.ws, { key: 'key-two', platform: 'qq' })
  ]
  const damaged: string[] = []
  for (const number of OPAQUE) {
    const frame = JSON.stringify(envelope(payloadFor('key-two', 'qq', 'x', { additional_config: 'HERE' })))
    one.send(frame.replace('"HERE"', `{"id":${number}}`))
    const heard = await findText(two)
    if (!heard.includes(`{"id":${number}}`)) damaged.push(`api ${number}: ${heard}`)
  }
  return damaged
}

async function findText(socket: TestSocket): Promise<string> {
  for (;;) {
    const said = await socket.nextText()
    if (isMessage(JSON.parse(said))) return said
  }
}
