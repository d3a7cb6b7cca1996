import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { SignJWT, UnsecuredJWT } from 'jose'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { createOperators } from '../../src/operators.ts'
import { digestToken } from '../../src/secrets.ts'
import { startApp, world, type Running, type StartOptions } from './app.ts'
import { logIn } from './person.ts'

const JWT_SECRET = 'the-secret-of-a-stage-of-doors-long-enough'

/** Everything that somebody may have in their hands, good or not; made anew where it is good once. */
export const CREDENTIALS = {
  'bot token': () => 'token-one',
  'bot token of the command line': ({ made }) => made.botToken,
  'replaced bot token': ({ made }) => made.oldBotToken,
  'token of a bot that is off': ({ made }) => made.offBotToken,
  'access token': ({ made }) => made.access,
  'access token of an admin': ({ made }) => made.admin,
  'access token of an ended session': ({ made }) => made.ended,
  'access token of somebody who is off': ({ made }) => made.off,
  'expired access token': ({ made }) => signAs({ user_id: 10011, typ: 'access', sid: made.sid }, -3600),
  'access token that is not valid yet': ({ made }) =>
    signAs({ user_id: 10011, typ: 'access', sid: made.sid, nbf: seconds() + 3600 }),
  'access token under another secret': ({ made }) =>
    signAs({ user_id: 10011, typ: 'access', sid: made.sid }, 3600, 'another-secret-that-is-long-enough-too'),
  'access token without a signature': ({ made }) =>
    new UnsecuredJWT({ user_id: 10011, typ: 'access', sid: made.sid, exp: seconds() + 3600 }).encode(),
  'refresh token': ({ made }) => made.refresh,
  ticket: async ({ app, made }) => issueTicket(app, made.access),
  'used ticket': ({ made }) => made.usedTicket,
  'maim key': () => 'key-one',
  'maim key of a bot that is off': () => 'key-off',
  'legacy token': () => 'legacy-one',
  'metrics token': () => 'metrics-one',
  'operator token': ({ made }) => made.operatorToken,
  'revoked operator token': ({ made }) => made.revokedOperatorToken,
  invitation: ({ made }) => made.invitation,
  password: () => 'alice-secret',
  'signing key': () => JWT_SECRET,
  'digest of a token': ({ made }) => made.digest,
  nonsense: () => 'nonsense',
  asterisk: () => '*'
} as const satisfies Record<string, (stage: Stage) => string | Promise<string>>

export type Credential = keyof typeof CREDENTIALS

/** Where somebody may show it. */
export const WAYS = {
  'Authorization: Bearer': (token) => ({ headers: { authorization: `Bearer ${token}` } }),
  'Authorization: BEARER': (token) => ({ headers: { authorization: `BEARER ${token}` } }),
  Authorization: (token) => ({ headers: { authorization: token } }),
  'Authorization: Basic': (token) => ({
    headers: { authorization: `Basic ${Buffer.from(`alice:${token}`).toString('base64')}` }
  }),
  'Authorization: Token': (token) => ({ headers: { authorization: `Token ${token}` } }),
  'x-apikey': (token) => ({ headers: { 'x-apikey': token } }),
  '?access_token': (token) => ({ query: `access_token=${encodeURIComponent(token)}` }),
  '?token': (token) => ({ query: `token=${encodeURIComponent(token)}` }),
  '?ticket': (token) => ({ query: `ticket=${encodeURIComponent(token)}` }),
  '?api_key': (token) => ({ query: `api_key=${encodeURIComponent(token)}` }),
  '?ACCESS_TOKEN': (token) => ({ query: `ACCESS_TOKEN=${encodeURIComponent(token)}` }),
  'Sec-WebSocket-Protocol': (token) => ({ protocols: token === '' ? ['bearer'] : ['bearer', token] }),
  cookie: (token) => ({
    headers: { cookie: ['token', 'access_token', 'api_key', 'session'].map((name) => `${name}=${token}`).join('; ') }
  })
} as const satisfies Record<string, (token: string) => Shown>

export type Way = keyof typeof WAYS

/** What goes along with a request. */
export interface Shown {
  readonly headers?: Record<string, string>
  readonly query?: string
  readonly protocols?: readonly string[]
}

export interface DoorRow {
  /** An address of it. */
  readonly path: string
  /** Beside a socket, which is asked for with GET. */
  readonly method: 'GET' | 'POST' | 'WebSocket'
  readonly headers?: Record<string, string>
  /** What opens it, and where that counts. Everything else is refused. */
  readonly opens: Partial<Record<Credential, readonly Way[]>>
  /** What is answered to who shows nothing, and to who shows what is wrong: a status, or the code of the close. */
  readonly missing: number
  readonly wrong: number
  /** What some are told who are known and may not come in. */
  readonly known?: Partial<Record<Credential, number>>
  /** The routes behind it, as the router names them. */
  readonly covers: RegExp
}

const BEARER: readonly Way[] = ['Authorization: Bearer', 'Authorization: BEARER']
const BOTS = { 'bot token': BEARER, 'bot token of the command line': BEARER }
const BOT_SOCKET: readonly Way[] = [...BEARER, '?access_token']
const BOT_SOCKETS = { 'bot token': BOT_SOCKET, 'bot token of the command line': BOT_SOCKET }
const PERSON_SOCKET: readonly Way[] = [...BEARER, '?token', 'Sec-WebSocket-Protocol']
const KEY_WAYS: readonly Way[] = ['x-apikey', '?api_key']

/** Every door that does not let in everybody. A route that none of these covers, and that is not open, fails the test. */
export const DOOR_TABLE: Record<string, DoorRow> = {
  'Milky draft, calls': {
    path: '/get_login_info',
    method: 'POST',
    opens: BOTS,
    missing: 401,
    wrong: 403,
    covers: /^\/:api$/
  },
  'Milky 1.2, calls': {
    path: '/api/get_login_info',
    method: 'POST',
    opens: BOTS,
    missing: 401,
    wrong: 401,
    // A good token whose bot is off is told so in the envelope (contract 2.1).
    known: { 'token of a bot that is off': 200 },
    covers: /^\/api\/:api/
  },
  'Milky draft, socket': {
    path: '/',
    method: 'WebSocket',
    opens: BOT_SOCKETS,
    missing: 401,
    wrong: 403,
    covers: /^\/$/
  },
  'Milky 1.2, socket': {
    path: '/event',
    method: 'WebSocket',
    opens: BOT_SOCKETS,
    missing: 401,
    wrong: 401,
    covers: /^\/event$/
  },
  'Milky 1.2, stream': {
    path: '/event',
    method: 'GET',
    opens: BOT_SOCKETS,
    missing: 401,
    wrong: 401,
    covers: /^\/event$/
  },
  'IM-Suite, REST': {
    path: '/api/users/me',
    method: 'GET',
    opens: { 'access token': BEARER, 'access token of an admin': BEARER },
    missing: 401,
    wrong: 401,
    covers: /^\/api\/(?!:api|\*|auth\/(?:login|register|refresh)$|admin\/)/
  },
  'IM-Suite, socket': {
    path: '/im/ws',
    method: 'WebSocket',
    opens: { 'access token': PERSON_SOCKET, 'access token of an admin': PERSON_SOCKET, ticket: ['?ticket'] },
    missing: 1008,
    wrong: 1008,
    covers: /^\/im\/ws$/
  },
  'maim_message API-Server': {
    path: '/maim/ws',
    method: 'WebSocket',
    opens: { 'maim key': KEY_WAYS },
    missing: 401,
    wrong: 401,
    covers: /^\/maim\/ws$/
  },
  'maim_message legacy': {
    path: '/maim/legacy/ws',
    method: 'WebSocket',
    opens: { 'maim key': ['Authorization'], 'legacy token': ['Authorization'] },
    missing: 1008,
    wrong: 1008,
    covers: /^\/maim\/legacy\/ws\/?$/
  },
  // Told apart by what is shown; whoever shows nothing is a person.
  'the address that people and brains share': {
    path: '/ws',
    method: 'WebSocket',
    opens: {
      'access token': PERSON_SOCKET,
      'access token of an admin': PERSON_SOCKET,
      ticket: ['?ticket'],
      'maim key': [...KEY_WAYS, 'Authorization'],
      'legacy token': ['Authorization']
    },
    missing: 1008,
    wrong: 401,
    covers: /^\/ws\/?$/
  },
  metrics: {
    path: '/metrics',
    method: 'GET',
    opens: { 'metrics token': BEARER },
    missing: 401,
    wrong: 401,
    covers: /^\/metrics$/
  },
  operator: {
    path: '/api/admin/overview',
    method: 'GET',
    opens: { 'operator token': BEARER, 'access token of an admin': BEARER },
    missing: 401,
    wrong: 401,
    known: { 'access token': 403 },
    covers: /^\/api\/admin\//
  }
}

export interface Stage {
  readonly app: Running
  readonly made: Readonly<Record<(typeof MADE)[number], string>>
}

const MADE = [
  'botToken',
  'oldBotToken',
  'offBotToken',
  'access',
  'sid',
  'ended',
  'off',
  'refresh',
  'admin',
  'usedTicket',
  'operatorToken',
  'revokedOperatorToken',
  'invitation',
  'digest'
] as const

export interface DoorOptions extends StartOptions {
  /** Settings beside those of the stage. */
  readonly more?: { readonly im?: object; readonly maim?: object }
}

/** A gateway where every credential of the table exists, and room for everybody to try. */
export async function openDoors(t: Test, { more = {}, ...options }: DoorOptions = {}): Promise<Stage> {
  const many = 1_000_000
  const app = await startApp(t, {
    ...options,
    config: {
      bots: [...world.bots, { id: 10004, nickname: 'Off', access_token: 'token-off' }],
      im: { jwt_secret: JWT_SECRET, ...more.im },
      maim: {
        keys: [
          { api_key: 'key-one', account: 10001 },
          { api_key: 'key-off', account: 10004 }
        ],
        legacy_tokens: ['legacy-one'],
        ...more.maim
      },
      limits: {
        http_rate: many,
        upgrade_rate: many,
        sign_in_rate: many,
        login_rate: many,
        login_failures: many,
        im_user_connects: many,
        im_address_connects: many
      },
      ...options.config,
      server: { metrics_token: 'metrics-one', ...options.config?.server }
    }
  })
  const { accounts, store, now } = app.lactea.gateway
  const bot = await accounts.add({ kind: 'bot', nickname: 'Third' })
  const [oldBotToken, botToken] = ['an-old-token-of-a-bot', 'the-token-of-a-bot']
  await accounts.setToken(bot.id, oldBotToken)
  await accounts.setToken(bot.id, botToken)
  await store.disableAccount(10004, now())
  const person = { kind: 'person', password: 'bob-secret' } as const
  const bob = await accounts.add({ ...person, username: 'bob', nickname: 'Bob' })
  const off = (await logIn(app, { username: 'bob', password: 'bob-secret' })).body.token as string
  await store.disableAccount(bob.id, now())
  const first = (await logIn(app, { username: 'alice', password: 'alice-secret' })).body.token as string
  await fetch(`${app.url}/api/auth/logout`, { method: 'POST', headers: { authorization: `Bearer ${first}` } })
  const { token: access, refresh_token: refresh } = (await logIn(app, { username: 'alice', password: 'alice-secret' }))
    .body
  const { sid } = JSON.parse(Buffer.from(access.split('.')[1], 'base64url').toString()) as { sid: string }
  const root = await accounts.add({ kind: 'person', password: 'root-secret', username: 'root', nickname: 'Root' })
  await store.setAdmin(root.id, true)
  const admin = (await logIn(app, { username: 'root', password: 'root-secret' })).body.token as string
  const operators = createOperators({ store, secret: JWT_SECRET, maxEntries: () => 1000, now, onError: () => {} })
  const { token: operatorToken } = await operators.addToken('one')
  const { id, token: revokedOperatorToken } = await operators.addToken('two')
  await store.removeOperatorToken(id)
  await accounts.invite('an-invitation-code', 3600)
  const usedTicket = await issueTicket(app, access)
  const socket = new WebSocket(`${app.ws}/im/ws?ticket=${usedTicket}`)
  await once(socket, 'message')
  socket.terminate()
  return {
    app,
    made: {
      botToken,
      oldBotToken,
      offBotToken: 'token-off',
      access,
      sid,
      ended: first,
      off,
      refresh,
      usedTicket,
      admin,
      operatorToken,
      revokedOperatorToken,
      invitation: 'an-invitation-code',
      digest: digestToken('token-one').toString('hex')
    }
  }
}

/** The HTTP status, or the code of the close; `in` for who may stay. */
export type Reception = number | 'in'

/** Told of everything that was answered. */
type Hear = (said: string) => void

/** Knocks at a door with this in the hands. */
export function knock(
  app: Running,
  { path, method, headers = {} }: DoorRow,
  shown: Shown,
  hear: Hear = () => {}
): Promise<Reception> {
  const url = `${path}${shown.query === undefined ? '' : `?${shown.query}`}`
  const given = { ...headers, ...shown.headers }
  const protocols = shown.protocols ?? []
  if (method === 'WebSocket') return knockAtSocket(`${app.ws}${url}`, given, protocols, hear)
  const asked = protocols.length > 0 && { 'sec-websocket-protocol': protocols.join(', ') }
  return knockByCall(`${app.url}${url}`, method, { ...given, ...asked }, hear)
}

async function knockByCall(
  url: string,
  method: string,
  headers: Record<string, string>,
  hear: Hear
): Promise<Reception> {
  const json = method === 'POST' ? { 'content-type': 'application/json' } : {}
  const call = request(url, { method, headers: { ...json, ...headers } })
  call.end(method === 'POST' ? '{}' : undefined)
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  const { statusCode: status = 0 } = response
  // A stream of events has no end.
  if (response.headers['content-type']?.startsWith('text/event-stream')) {
    response.destroy()
    return 'in'
  }
  const said = await readAnswer(response, hear)
  // Milky 1.2 says in the answer that somebody is off; the status is 200 all the same.
  return status === 200 && !said.includes('"status":"failed"') ? 'in' : status
}

async function readAnswer(response: IncomingMessage, hear: Hear): Promise<string> {
  let said = ''
  for await (const chunk of response) said += String(chunk)
  hear(JSON.stringify(response.rawHeaders))
  hear(said)
  return said
}

/** A refusal after the handshake closes before a ping can be answered, since frames come in order. */
function knockAtSocket(
  url: string,
  headers: Record<string, string>,
  protocols: readonly string[],
  hear: Hear
): Promise<Reception> {
  const socket = new WebSocket(url, [...protocols], { headers })
  return new Promise((resolve, reject) => {
    const end = (reception: Reception): void => {
      socket.terminate()
      resolve(reception)
    }
    socket.on('error', () => {})
    socket.once('upgrade', (response: IncomingMessage) => hear(JSON.stringify(response.rawHeaders)))
    socket.on('message', (data) => hear(String(data)))
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      readAnswer(response, hear).then(() => end(response.statusCode ?? 0), reject)
    })
    socket.once('close', (code, reason) => {
      hear(String(reason))
      end(code)
    })
    socket.once('open', () => socket.ping())
    socket.once('pong', () => end('in'))
  })
}

async function issueTicket(app: Running, token: string): Promise<string> {
  const answer = await fetch(`${app.url}/api/auth/ws-ticket`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` }
  })
  return ((await answer.json()) as { ticket: string }).ticket
}

const seconds = (): number => Math.floor(Date.now() / 1000)

function signAs(claims: Record<string, unknown>, lifeS = 3600, secret = JWT_SECRET): Promise<string> {
  return new SignJWT({ exp: seconds() + lifeS, ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(secret))
}
