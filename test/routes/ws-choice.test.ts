import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text as readAll } from 'node:stream/consumers'
import t from 'tap'
import { WebSocket } from 'ws'
import { findSpeech } from '../../plugins/speech.ts'
import { startApp } from '../helpers/app.ts'
import { openSocket } from '../helpers/socket.ts'

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'

t.test('who speaks what at /ws is told by what is shown', async (t) => {
  const rows: [label: string, url: string, headers: Record<string, string>, speech: string | undefined][] = [
    ['nothing at all', '/ws', {}, undefined],
    ['a token in the query', '/ws?token=x', {}, undefined],
    ['a ticket', '/ws?ticket=x', {}, undefined],
    ['a bearer token', '/ws', { authorization: `Bearer ${JWT}` }, undefined],
    [
      'a bearer token of an app that names its platform',
      '/ws',
      { authorization: `Bearer ${JWT}`, platform: 'ios' },
      undefined
    ],
    ['a subprotocol', '/ws', { 'sec-websocket-protocol': `bearer, ${JWT}` }, undefined],
    ['a key in the query', '/ws?api_key=k&platform=qq', {}, 'maim-api'],
    ['an empty key in the query', '/ws?api_key=', {}, 'maim-api'],
    ['a key in the headers', '/ws', { 'x-apikey': 'k' }, 'maim-api'],
    ['an empty key in the headers, as the library sends it', '/ws', { 'x-apikey': '', 'x-uuid': 'u' }, 'maim-api'],
    ['a key and a token', `/ws?api_key=k&token=${JWT}`, {}, 'maim-api'],
    [
      'a key and the headers of the legacy protocol',
      '/ws?api_key=k',
      { platform: 'qq', authorization: 'x' },
      'maim-api'
    ],
    ['a platform in the query alone', '/ws?platform=qq', {}, 'maim-api'],
    ['a platform', '/ws', { platform: 'qq' }, 'maim-legacy'],
    ['a raw token', '/ws', { authorization: 'secret' }, 'maim-legacy'],
    [
      'a platform and a token that is called bearer',
      '/ws',
      { platform: 'qq', authorization: 'Bearer x' },
      'maim-legacy'
    ],
    [
      'a platform and queries, which the legacy protocol ignores',
      '/ws?platform=a&token=b',
      { platform: 'qq' },
      'maim-legacy'
    ],
    ['the slash of Socket.IO', '/ws/?EIO=4&transport=websocket', { 'x-apikey': 'k' }, 'socket.io'],
    ['a native client with the slash', '/ws/?api_key=k', {}, 'maim-api'],
    ['OneBot', '/ws', { 'x-self-id': '1', 'x-client-role': 'Universal', authorization: 'Bearer x' }, 'onebot'],
    ['other paths', '/wsx?api_key=k', {}, undefined],
    ['paths below', '/ws/x?api_key=k', {}, undefined]
  ]
  for (const [label, url, headers, speech] of rows) {
    t.equal(findSpeech({ url, method: 'GET', headers: { upgrade: 'WebSocket', ...headers } }), speech, label)
  }
  t.equal(findSpeech({ url: '/ws?token=x', method: 'GET', headers: {} }), 'http')
  t.equal(findSpeech({ url: '/ws?api_key=x', method: 'GET', headers: { upgrade: 'h2c' } }), 'http')
})

t.test('a visitor without a WebSocket is told what is spoken at /ws', async (t) => {
  const app = await startApp(t)
  for (const path of ['/ws', '/ws/', '/ws?api_key=k']) {
    const response = await fetch(app.url + path)
    t.equal(response.status, 426)
    t.equal(response.headers.get('upgrade'), 'websocket')
    const { message } = (await response.json()) as { message: string }
    for (const words of ['IM-Suite', 'api_key', 'x-apikey', 'legacy', 'platform']) t.match(message, words)
  }
})

t.test(
  'Socket.IO is told its version, by polling and by WebSocket, and so is the operator, once a minute',
  async (t) => {
    const app = await startApp(t, { logLevel: 'warn' })
    const { status, body } = await post(`${app.url}/ws/?EIO=4&transport=polling`, 'GET')
    t.equal(status, 400)
    t.match(body.message, /0\.7.*0\.6/)
    t.equal((await post(`${app.url}/ws/?EIO=4&transport=polling`, 'POST')).status, 400)
    t.match(await refusal(`${app.ws}/ws/?EIO=4&transport=websocket`), { status: 400, message: /0\.6\.x/ })
    t.equal(app.lines.filter((line) => line.includes('maim_message 0.7')).length, 1)
  }
)

t.test('a OneBot client is told what it is', async (t) => {
  const app = await startApp(t, { logLevel: 'warn' })
  const headers = { 'x-self-id': '10001', 'x-client-role': 'Universal', authorization: 'Bearer hush' }
  t.match(await refusal(`${app.ws}/ws`, headers), { status: 400, message: /OneBot.*Milky/ })
  t.match(await app.logged('OneBot'), /127\.0\.0\.1/)
  t.notMatch(app.lines.join('\n'), /hush/)
})

t.test('people come in as ever', async (t) => {
  const app = await startApp(t)
  const token = await app.signIn('alice', 'alice-secret')
  const person = await openSocket(t, `${app.ws}/ws?token=${token}`)
  t.match(await person.next(), { type: 'connect' })
  const app2 = await openSocket(t, `${app.ws}/ws`, { headers: { authorization: `Bearer ${token}`, platform: 'ios' } })
  t.match(await app2.next(), { type: 'connect' })
  const stranger = await openSocket(t, `${app.ws}/ws`)
  t.match(await stranger.next(), { type: 'error' })
})

async function post(url: string, method: string): Promise<{ status: number; body: any }> {
  const response = await fetch(url, { method })
  return { status: response.status, body: await response.json() }
}

async function refusal(
  url: string,
  headers: Record<string, string> = {}
): Promise<{ status: number; message: string }> {
  const socket = new WebSocket(url, { headers })
  socket.on('error', () => {})
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  const { message } = JSON.parse(await readAll(response)) as { message: string }
  return { status: response.statusCode ?? 0, message }
}
