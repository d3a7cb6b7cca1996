import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../src/config.ts'
import { text, world, type Running } from '../helpers/app.ts'
import { openDoors, type Stage } from '../helpers/doors.ts'
import { openStream } from '../helpers/event-stream.ts'
import { envelope, payloadFor } from '../helpers/maim-api.ts'
import { ask, logIn } from '../helpers/person.ts'
import { buildFrame, TEXT } from '../helpers/raw-peer.ts'
import { runLactea } from '../helpers/service.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'

fault({
  number: 32,
  title: 'frames around a failed sign-in, and sockets whose token was taken back',
  mark: 'Frames sent before/after a failed auth on the same socket: dispatched 0 (401 at upgrade, not close after). Token revoked: open sockets closed ≤ 5 s.',
  async run({ t, size, figure }) {
    const counts = { dispatched: 0, control: 0, upgraded: 0 }
    const kinds = [
      {},
      { maim: { auth_reject: 'close1000' } },
      { im: { late_auth: true } },
      { im: { auth_reject: 'http401' } }
    ]
    for (const more of kinds) {
      const stage = await openDoors(t, { more })
      for (let round = 0; round < size(1, 10); round++) counts.upgraded += await pushFrames(t, stage)
      counts.dispatched += await countDispatched(stage)
      counts.control += await sendRightly(t, stage)
    }
    figure('frames dispatched of who was refused', counts.dispatched, { is: 0 })
    figure('frames dispatched of who was not, for comparison', counts.control, { is: 4 * kinds.length })
    figure('bots whose handshake was answered otherwise than by refusing it', counts.upgraded, { is: 0 })

    const waits: number[] = []
    for (let round = 0; round < size(1, 3); round++) waits.push(...(await revokeAll(t)))
    figure('sockets whose token was taken back', waits.length, { atLeast: 30 })
    figure('longest time until they were closed', Math.max(...waits), { atMost: 5000, unit: 'ms', isTimed: true })
  }
})

/** A door that takes frames, with what is shown there in vain, and a frame that would do something. */
interface Target {
  readonly path: string
  readonly headers?: Record<string, string>
  readonly frames: readonly object[]
  /** Bots are refused in the handshake, whatever is configured. */
  readonly isBot?: boolean
}

const SAY = { action: 'send_group_message', params: { group_id: 100001, message: text('from a stranger') } }
const WRITE = { type: 'message.send', payload: { receiver_id: 10002, content: 'from a stranger' } }
const authWith = (token: string) => ({ type: 'auth', payload: { token } })
const legacy = (platform: string) => ({
  message_info: { platform, message_id: '1', time: 1 },
  message_segment: { type: 'text', data: 'from a stranger' }
})

const TARGETS: readonly Target[] = [
  ...['', '?access_token=wrong', '?access_token=token-off', '?access_token=key-one'].map((query) => ({
    path: `/${query}`,
    frames: [SAY],
    isBot: true
  })),
  { path: '/', headers: { authorization: 'Bearer wrong' }, frames: [SAY], isBot: true },
  { path: '/event?access_token=wrong', frames: [SAY], isBot: true },
  ...['', '?token=wrong', '?ticket=wrong', '?token=token-one'].flatMap((query) => [
    { path: `/im/ws${query}`, frames: [WRITE] },
    ...['wrong', 'token-one', 'key-one', ''].map((token) => ({
      path: `/im/ws${query}`,
      frames: [authWith(token), WRITE]
    }))
  ]),
  ...['', '?api_key=wrong', '?api_key=key-off', '?api_key=token-one'].map((query) => ({
    path: `/maim/ws${query}`,
    frames: [envelope(payloadFor('key-one', 'qq', 'from a stranger'))]
  })),
  ...['', 'wrong', 'key-off', 'token-one'].map((token) => ({
    path: '/maim/legacy/ws',
    headers: { platform: 'stranger', ...(token !== '' && { authorization: token }) },
    frames: [legacy('somebody')]
  }))
]

/** Comes to each door in vain, with frames in the packet of the handshake and behind its answer. Counts bots that were let in. */
async function pushFrames(t: Test, { app }: Stage): Promise<number> {
  const answers = await Promise.all(TARGETS.map(async (target) => [target, await push(app, target)] as const))
  for (const [{ path }, answer] of answers) t.match(answer, /^HTTP\/1\.1 (?:101|401|403) /, path)
  return answers.filter(([{ isBot }, answer]) => isBot && !/ (?:401|403) /.test(answer)).length
}

/** The first line of the answer, when the other side has closed the connection or has taken what came behind it. */
async function push({ url }: Running, { path, headers = {}, frames }: Target): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const bytes = Buffer.concat(frames.map((frame) => buildFrame({ opcode: TEXT, payload: JSON.stringify(frame) }, true)))
  const lines = Object.entries({
    Host: new URL(url).host,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers
  }).map(([name, value]) => `${name}: ${value}`)
  socket.write(Buffer.concat([Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`), bytes]))
  let said = ''
  socket.on('data', (chunk) => (said += chunk.toString('latin1')))
  await Promise.race([once(socket, 'data'), closed])
  for (let count = 0; count < 3 && !socket.destroyed; count++) {
    socket.write(bytes)
    await new Promise(setImmediate)
  }
  socket.end()
  // The other side answers our end, once it has read what came before it.
  await Promise.race([closed, delay(5000, undefined, { ref: false })])
  socket.destroy()
  return said.split('\r\n', 1)[0] ?? ''
}

/** Events in the log, and messages that the doors of maim_message took. */
async function countDispatched({ app }: Stage): Promise<number> {
  const metrics = await (await fetch(`${app.url}/metrics`, { headers: { authorization: 'Bearer metrics-one' } })).text()
  const taken = [...metrics.matchAll(/^lactea_maim_messages_received_total\{door="(?:api|legacy)"\} (\d+)$/gm)]
  const history = await app.call('token-one', 'get_history_group_message', { group_id: 100001, limit: 20 })
  const said = history.data.messages.length as number
  const written = await app.call('token-two', 'get_history_private_message', { user_id: 10011, limit: 20 })
  const direct = (written.data?.messages?.length ?? 0) as number
  return said + direct + taken.reduce((sum, [, count]) => sum + Number(count), 0)
}

/** The same frames of who may: each is dispatched. */
async function sendRightly(t: Test, stage: Stage): Promise<number> {
  const { app, made } = stage
  const before = await countDispatched(stage)
  const bot = await openSocket(t, `${app.ws}/?access_token=token-one`)
  bot.send(SAY)
  await bot.find(({ post_type }) => post_type === 'action_response')
  const person = await openSocket(t, `${app.ws}/im/ws?token=${made.access}`)
  person.send(WRITE)
  await person.find(({ type }) => type === 'message.new')
  const brain = await openSocket(t, `${app.ws}/maim/ws?api_key=key-one`)
  brain.send(envelope(payloadFor('key-one', 'qq', 'from somebody we know')))
  const peer = await openSocket(t, `${app.ws}/maim/legacy/ws`, {
    headers: { platform: 'a', authorization: 'legacy-one' }
  })
  peer.send(legacy('somebody'))
  let sent = 0
  await waitFor(async () => (sent = (await countDispatched(stage)) - before) >= 4)
  for (const { socket } of [bot, person, brain, peer]) socket.terminate()
  return sent
}

/** Sockets that come in with something, and how it is taken back. */
interface Revocation {
  readonly label: string
  readonly open: () => Promise<readonly { readonly closed: Promise<unknown> }[]>
  readonly revoke: () => Promise<unknown>
}

/** Takes back every kind of token in every way there is; gives the milliseconds until each socket was closed. */
async function revokeAll(t: Test): Promise<number[]> {
  const stage = await openDoors(t, {
    config: {
      bots: [
        ...world.bots,
        { id: 10004, nickname: 'Off', access_token: 'token-off' },
        { id: 10005, nickname: 'Five', access_token: 'token-five' },
        { id: 10006, nickname: 'Six', access_token: 'token-six' }
      ],
      maim: {
        keys: [
          { api_key: 'key-one', account: 10001 },
          { api_key: 'key-five', account: 10005 },
          { api_key: 'key-six', account: 10006 }
        ],
        legacy_tokens: ['legacy-one', 'legacy-two']
      }
    }
  })
  const waits: number[] = []
  for (const { label, open, revoke } of listRevocations(t, stage)) {
    const sockets = await open()
    let startedAt = Number.NaN
    const ends = sockets.map(async ({ closed }) => {
      await closed
      waits.push(Number.isNaN(startedAt) ? 0 : performance.now() - startedAt)
    })
    await revoke()
    startedAt = performance.now()
    await waitFor(async () => {
      const states = await Promise.all(ends.map((end) => Promise.race([end.then(() => true), delay(0, false)])))
      return states.every(Boolean)
    }, `the sockets are closed after ${label}`)
  }
  return waits
}

function listRevocations(t: Test, { app, made }: Stage): Revocation[] {
  const { accounts } = app.lactea.gateway
  const closing = (path: string, options = {}) => openSocket(t, `${app.ws}${path}`, options)
  const botSockets = (token: string) => async () => [
    await closing(`/?access_token=${token}`),
    await closing(`/event?access_token=${token}`),
    await openStream(t, `${app.url}/event?access_token=${token}`)
  ]
  const brainSockets = (key: string) => async () => [
    await closing(`/maim/ws?api_key=${key}`),
    await closing('/maim/legacy/ws', { headers: { platform: key, authorization: key } })
  ]
  const command = async (...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await runLactea(args, { cwd: app.dir, input: 'a-new-password\n' })
    t.equal(code, 0, `${args.join(' ')}${stderr}`)
  }
  const deed = async (path: string, body: object = {}): Promise<void> => {
    const { status } = await ask(app, 'POST', `/api/admin${path}`, { token: made.operatorToken, body })
    t.equal(status, 200, path)
  }
  let number = 0
  /** Somebody new, with two sockets of one session, and what takes them away again. */
  const ofPerson = (label: string, end: (who: { id: number; name: string; token: string }) => Promise<unknown>) => {
    const name = `person-${++number}`
    let id = 0
    let token = ''
    return {
      label,
      async open() {
        id = (await accounts.add({ kind: 'person', username: name, nickname: name, password: 'a-password' })).id
        token = (await logIn(app, { username: name, password: 'a-password' })).body.token as string
        return [await closing(`/im/ws?token=${token}`), await closing(`/ws?token=${token}&ext=1`)]
      },
      revoke: () => end({ id, name, token })
    }
  }
  const ofNewBot = (label: string, end: (id: number) => Promise<unknown>): Revocation => {
    const token = `token-of-${label.replaceAll(' ', '-')}`
    let id = 0
    return {
      label,
      async open() {
        id = (await accounts.add({ kind: 'bot', nickname: label })).id
        await accounts.setToken(id, token)
        return botSockets(token)()
      },
      revoke: () => end(id)
    }
  }
  const reload = async (change: (config: any) => void): Promise<void> => {
    const file = join(app.dir, 'lactea.yaml')
    const given = parse(readFileSync(file, 'utf8'))
    // Who was removed may not be named any more.
    given.bots = given.bots.filter(({ id }: { id: number }) => id !== 10004)
    change(given)
    writeFileSync(file, stringify(given))
    await app.lactea.reload(loadConfig({ file, env: {}, cwd: app.dir }).config)
  }

  return [
    ofNewBot('bot token on the command line', (id) => command('bot', 'token', String(id))),
    ofNewBot('bot remove on the command line', (id) => command('bot', 'remove', String(id))),
    ofNewBot('bot token over HTTP', (id) => deed(`/bots/${id}/token`)),
    ofNewBot('bot remove over HTTP', (id) => deed(`/bots/${id}/remove`)),
    ofPerson('logout', ({ token }) => ask(app, 'POST', '/api/auth/logout', { token })),
    ofPerson('logout-all', ({ token }) => ask(app, 'POST', '/api/auth/logout-all', { token })),
    ofPerson('a new password in another session', async ({ name }) => {
      const { token } = (await logIn(app, { username: name, password: 'a-password' })).body
      const body = { old_password: 'a-password', new_password: 'another-password' }
      t.equal((await ask(app, 'PUT', '/api/users/me/password', { token, body })).status, 200)
    }),
    ofPerson('user password on the command line', ({ name }) => command('user', 'password', name, '--password-stdin')),
    ofPerson('user remove on the command line', ({ name }) => command('user', 'remove', name)),
    ofPerson('user sign-out over HTTP', ({ id }) => deed(`/users/${id}/sign-out`)),
    ofPerson('user password over HTTP', ({ id }) => deed(`/users/${id}/password`)),
    ofPerson('user remove over HTTP', ({ id }) => deed(`/users/${id}/remove`)),
    {
      label: 'a reload without the key of maim',
      open: brainSockets('key-one'),
      revoke: () => reload((config) => (config.maim.keys = config.maim.keys.slice(1)))
    },
    {
      label: 'a reload without the legacy token',
      open: async () => [
        await closing('/maim/legacy/ws', { headers: { platform: 'old', authorization: 'legacy-one' } })
      ],
      revoke: () => reload((config) => (config.maim.legacy_tokens = ['legacy-two']))
    },
    {
      label: 'a reload with another token of the bot',
      open: botSockets('token-two'),
      revoke: () => reload((config) => (config.bots[1].access_token = 'token-two-anew'))
    },
    {
      label: 'a maim bot removed on the command line',
      open: brainSockets('key-five'),
      revoke: () => command('bot', 'remove', '10005')
    },
    {
      label: 'a maim bot removed over HTTP',
      open: brainSockets('key-six'),
      revoke: () => deed('/bots/10006/remove')
    }
  ]
}
