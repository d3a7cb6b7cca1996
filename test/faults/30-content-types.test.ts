import { request } from 'node:http'
import { text as readAll } from 'node:stream/consumers'
import { startApp, text } from '../helpers/app.ts'
import { fault } from './lab/fault.ts'

const GROUP = 100001

/** Ways to say what a body is that have made servers parse it, or believe it, without looking at it (CVE-2025-32442, CVE-2026-25223). */
const TYPES: readonly (string | readonly string[] | undefined)[] = [
  'application/json',
  '\tapplication/json',
  'application/json\t',
  'application/json\t;charset=utf-8',
  'application/json\ta',
  'application/\tjson',
  ' application/json',
  '  application/json  ',
  'application/json a',
  'application /json',
  'application/json;',
  'application/json ;',
  'application/json;;',
  'application/json; ',
  'application/json;=',
  'application/json; charset',
  'application/json;charset=utf-8;',
  'application/json; charset="utf-8',
  'application/json,',
  'application/json, text/plain',
  'text/plain, application/json',
  'APPLICATION/JSON',
  'Application/Json; Charset=UTF-8',
  'aPPLICATION/jSON;x=y',
  'application/json\u00a0',
  'application/jsonp',
  'application/x-json',
  'application/vnd.api+json',
  'application/problem+json',
  'text/json',
  'text/plain',
  'text/plain; application/json',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'multipart/form-data; boundary=x',
  'application/octet-stream',
  '*/*',
  'json',
  ';',
  '/',
  '',
  undefined,
  ['application/json', 'text/plain'],
  ['text/plain', 'application/json'],
  ['application/json', 'application/json;']
]

fault({
  number: 30,
  title: 'media types that are meant to get a body around its schema',
  mark: 'Body-schema bypass tries: `Content-Type` with tab, leading space, trailing `;`, case: rejected, handler calls = 0.',
  async run({ t, figure }) {
    const app = await startApp(t)
    const person = await app.signIn('alice', 'alice-secret')
    const { store } = app.lactea.gateway
    const events = await store.lastEventId()
    const profile = await store.findAccount(10011)
    // Each would be heard of if its handler ran: the schema alone keeps it out.
    const wrongs: readonly [method: string, path: string, token: string, body: object][] = [
      ['POST', '/send_group_message', 'token-one', { group_id: [GROUP], message: text('x') }],
      ['POST', '/send_group_message', 'token-one', { group_id: GROUP, message: { 0: text('x')[0], length: 1 } }],
      ['POST', '/api/send_group_message', 'token-one', { group_id: String(GROUP), message: text('x') }],
      ['POST', '/api/set_group_name', 'token-one', { group_id: GROUP, new_group_name: ['x'] }],
      ['POST', '/api/messages', person, { chat_id: [GROUP], message: 'x' }],
      ['POST', '/api/messages', person, { chat_id: GROUP, message: ['x'] }],
      ['POST', '/api/chats', person, { name: { length: 1 } }],
      ['PUT', '/api/users/me', person, { nickname: ['x'] }],
      ['POST', '/api/auth/login', '', { username: { $ne: '' }, password: { $ne: '' } }]
    ]
    let tries = 0
    const taken: string[] = []

    for (const [method, path, token, body] of wrongs)
      for (const type of TYPES) {
        const { status, retcode } = await send(app.url + path, { method, token, type, body: JSON.stringify(body) })
        tries++
        const isRefused = (status >= 400 && status < 500) || (status === 200 && retcode === -400)
        if (!isRefused) taken.push(`${path} as ${JSON.stringify(type)}: ${status} ${retcode}`)
      }

    figure('tries', tries, { atLeast: 300 })
    t.strictSame(taken, [])
    figure('not rejected', taken.length, { is: 0 })
    figure('handler calls', (await store.lastEventId()) - events, { is: 0 })
    t.strictSame(await store.findAccount(10011), profile, 'nor did the profile change')
    const good = { group_id: GROUP, message: text('x') }
    const answer = await send(`${app.url}/send_group_message`, {
      method: 'POST',
      token: 'token-one',
      type: 'application/json',
      body: JSON.stringify(good)
    })
    t.equal(answer.retcode, 0, 'what is right is taken')
  }
})

interface Sending {
  readonly method: string
  readonly token: string
  readonly type: string | readonly string[] | undefined
  readonly body: string
}

function send(
  url: string,
  { method, token, type, body }: Sending
): Promise<{ readonly status: number; readonly retcode: number | undefined }> {
  return new Promise((resolve, reject) => {
    // In pairs, as they are written to the wire: twice is twice.
    const types = type === undefined ? [] : typeof type === 'string' ? [type] : type
    const headers = [
      ['host', new URL(url).host],
      ['content-length', String(Buffer.byteLength(body))],
      ...(token === '' ? [] : [['authorization', `Bearer ${token}`]]),
      ...types.map((one) => ['content-type', one])
    ].flat()
    const asking = request(url, { method, headers }, (response) => {
      readAll(response).then((said) => {
        const { retcode } = JSON.parse(said) as { retcode?: number }
        resolve({ status: response.statusCode ?? 0, retcode })
      }, reject)
    })
    asking.on('error', reject)
    asking.end(body)
  })
}
