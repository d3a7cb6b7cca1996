import { request } from 'node:http'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { PLACES } from '../../src/admission.ts'
import { startApp, type Running } from '../helpers/app.ts'
import {
  CREDENTIALS,
  DOOR_TABLE,
  knock,
  openDoors,
  WAYS,
  type Credential,
  type DoorRow,
  type Reception,
  type Shown,
  type Way
} from '../helpers/doors.ts'
import { openSocket } from '../helpers/socket.ts'

/** What everybody may ask for: pages, signs of life, and where tokens come from. */
const OPEN = /^\/(?:health|ready|live|chat|console|\*|api\/auth\/(?:login|register|refresh))?$/

void t.test('every door lets in who shows the right thing in the right place, and nobody else', async (t) => {
  const stage = await openDoors(t)
  for (const [name, door] of Object.entries(DOOR_TABLE)) {
    const faults: string[] = []
    const expect = async (label: string, shown: Shown, wanted: readonly Reception[]): Promise<void> => {
      const got = await knock(stage.app, door, shown)
      if (!wanted.includes(got)) faults.push(`${label}: ${got} instead of ${wanted.join(' or ')}`)
    }
    await expect('nothing', {}, [door.missing])
    for (const way of Object.keys(WAYS) as Way[]) {
      await expect(`nothing in ${way}`, WAYS[way](''), [door.missing, door.wrong])
      for (const credential of Object.keys(CREDENTIALS) as Credential[]) {
        const token = await CREDENTIALS[credential](stage)
        await expect(`${credential} in ${way}`, WAYS[way](token), wantedOf(door, credential, way))
      }
    }
    t.strictSame(faults, [], name)
  }
})

function wantedOf(door: DoorRow, credential: Credential, way: Way): readonly Reception[] {
  if (door.opens[credential]?.includes(way)) return ['in']
  const known = door.known?.[credential]
  return [door.missing, door.wrong, ...(known === undefined ? [] : [known])]
}

void t.test('every route belongs to a door of the table, or is open to everybody by intention', async (t) => {
  const { app } = await openDoors(t)
  const rows = Object.values(DOOR_TABLE)
  const strays = routesOf(app).filter((path) => !OPEN.test(path) && !rows.some(({ covers }) => covers.test(path)))
  t.strictSame(strays, [])
  t.ok(routesOf(app).length > 60, `${routesOf(app).length} routes were looked at`)
  t.strictSame(
    Object.keys(PLACES).filter((place) => !PLACES_COVERED.has(place)),
    [],
    'and every way to decide it has a door'
  )
})

const PLACES_COVERED = new Set([
  'milky-call',
  'milky-socket',
  'person',
  'person-socket',
  'person-ticket',
  'maim-api',
  'maim-legacy',
  'metrics',
  'operator'
])

/** The paths that the router knows, read from the tree that it prints. */
function routesOf({ lactea }: Running): string[] {
  const stack: string[] = []
  return lactea.app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', path] = /^([│├└─ ]*)(\S.*?) \((?:[A-Z]+(?:, )?)+\)/.exec(line) ?? []
      if (path === undefined) return []
      const depth = Math.floor(indent.length / 4)
      const parent = depth <= 1 ? '/' : (stack[depth - 1] ?? '')
      const whole = depth === 0 ? path : `${parent}${path}`.replaceAll('//', '/')
      stack[depth] = whole
      return [whole]
    })
}

void t.test('of what is shown twice, each protocol has its own word which counts', async (t) => {
  const { app, made } = await openDoors(t)
  const door = (name: string): DoorRow => DOOR_TABLE[name] as DoorRow
  const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
  const rows: [name: string, shown: Shown, wanted: Reception, why: string][] = [
    ['Milky draft, socket', { query: 'access_token=x', headers: bearer('token-one') }, 'in', 'either may match (3.3)'],
    ['Milky draft, socket', { query: 'access_token=token-one', headers: bearer('x') }, 'in', 'either may match (3.3)'],
    ['Milky 1.2, socket', { query: 'access_token=token-one&access_token=x' }, 401, 'one parameter, one value'],
    ['Milky draft, calls', { query: 'access_token=token-one', headers: bearer('x') }, 403, 'the header alone (1.1)'],
    ['Milky 1.2, calls', { query: 'access_token=token-one' }, 401, 'the header alone (2.1)'],
    ['IM-Suite, socket', { query: 'token=x', headers: bearer(made.access) }, 1008, 'the query comes first'],
    ['IM-Suite, socket', { query: `token=${made.access}`, headers: bearer('x') }, 'in', 'the query comes first'],
    ['IM-Suite, socket', { query: `token=${made.access}&token=x` }, 1008, 'one parameter, one value'],
    [
      'maim_message API-Server',
      { query: 'api_key=x', headers: { 'x-apikey': 'key-one' } },
      401,
      'the query comes first'
    ],
    [
      'maim_message API-Server',
      { query: 'api_key=key-one', headers: { 'x-apikey': 'x' } },
      'in',
      'the query comes first'
    ],
    ['IM-Suite, REST', { headers: bearer(`${made.access} x`) }, 401, 'two parts, no more (1.3)']
  ]
  for (const [name, shown, wanted, why] of rows) t.equal(await knock(app, door(name), shown), wanted, `${name}: ${why}`)

  // A header that stands there twice is read once, the first time (Node: `authorization` is never joined).
  for (const [tokens, status] of [
    [['token-one', 'x'], 200],
    [['x', 'token-one'], 403]
  ] as const) {
    const headers = [
      ...tokens.flatMap((token) => ['authorization', `Bearer ${token}`]),
      'content-type',
      'application/json'
    ]
    const call = request(`${app.url}/get_login_info`, { method: 'POST', headers: ['host', '127.0.0.1', ...headers] })
    call.end('{}')
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    response.resume()
    t.equal(response.statusCode, status)
  }
})

void t.test('a bot without a token is for programs of this machine, and only until it has one', async (t) => {
  const app = await startApp(t, { config: { bots: [{ id: 10001, nickname: 'Only' }], provision: {} } })
  const call = DOOR_TABLE['Milky 1.2, calls'] as DoorRow
  const rows: [headers: Record<string, string>, wanted: Reception][] = [
    [{}, 'in'],
    [{ authorization: 'Bearer anything' }, 'in'],
    [{ origin: app.url }, 'in'],
    [{ origin: 'https://evil.example' }, 401],
    [{ origin: 'null' }, 401],
    [{ host: 'evil.example' }, 401],
    [{ 'x-forwarded-for': '203.0.113.9' }, 401],
    [{ 'x-forwarded-host': 'localhost' }, 401],
    [{ forwarded: 'for=127.0.0.1' }, 401],
    [{ 'x-real-ip': '127.0.0.1' }, 401],
    [{ via: '1.1 proxy' }, 401]
  ]
  for (const [headers, wanted] of rows) t.equal(await knock(app, call, { headers }), wanted, JSON.stringify(headers))

  const socket = await openSocket(t, `${app.ws}/`)
  await app.lactea.gateway.accounts.setToken(10001, 'its-first-token')
  t.equal((await socket.closed).code, 1008)
  t.equal(await knock(app, call, {}), 401)
  t.equal(await knock(app, call, { headers: { authorization: 'Bearer its-first-token' } }), 'in')
})
