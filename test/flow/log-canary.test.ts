import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { startApp, text, world } from '../helpers/app.ts'
import { openSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'

const CANARY = 'cAnAry'
const SIGNING_KEY = Buffer.from(`${CANARY} of at least 24 bytes`).toString('base64')

async function listen(t: Test, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('no secret is ever written to the log, whatever works or fails', async (t) => {
  const hook = await startWebhook(t)
  let failures = 1
  hook.answer((_delivered, response) => {
    response.writeHead(failures-- > 0 ? 500 : 200, { 'x-echo': `${CANARY}-answer` })
    response.end(
      JSON.stringify({ token: `${CANARY}-answer`, actions: [{ action: 'nope', params: { token: CANARY } }] })
    )
  })
  const refusing = createServer()
  refusing.on('upgrade', (_request, stream) => stream.end('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n'))
  const refusingHost = await listen(t, refusing)
  const open = createServer()
  const accepting = new WebSocketServer({ server: open })
  const openHost = await listen(t, open)
  t.teardown(() => {
    for (const socket of accepting.clients) socket.terminate()
  })
  const dialled = once(accepting, 'connection')

  const hookUrl = hook.url.replace('http://', `http://user:${CANARY}-userinfo@`)
  const target = { access_token: `${CANARY}-webhook-token`, secret: `whsec_${SIGNING_KEY}` }
  const reverse = { access_token: `${CANARY}-reverse-token` }
  const password = `${CANARY}-password`
  const config = {
    bots: [
      { ...world.bots[0], access_token: `${CANARY}-bot-token` },
      {
        ...world.bots[1],
        access_token: `${CANARY}-other-token`,
        webhooks: [
          { url: `${hookUrl}?token=${CANARY}-hook-query`, ...target },
          { url: `http://user:${CANARY}-userinfo@127.0.0.1:1/down?api_key=${CANARY}-hook-query`, ...target }
        ],
        reverse_ws: [
          { url: `ws://${openHost}/?token=${CANARY}-reverse-query`, ...reverse },
          { url: `ws://user:${CANARY}-userinfo@${refusingHost}/?token=${CANARY}-reverse-query`, ...reverse },
          { url: `ws://127.0.0.1:1/?access_token=${CANARY}-reverse-query`, ...reverse }
        ]
      }
    ],
    im: { jwt_secret: `${CANARY}-jwt-secret-of-many-characters` },
    provision: { ...world.provision, accounts: [{ ...world.provision.accounts[0], password }] },
    limits: { milky_frame: 2000 }
  }
  const app = await startApp(t, { config, logLevel: 'trace' })
  const secrets = [CANARY, SIGNING_KEY, SIGNING_KEY.slice(0, 12)]

  await t.test('at the doors of bots', async (t) => {
    const bearer = { authorization: `Bearer ${CANARY}-bot-token`, 'content-type': 'application/json' }
    const headers: Record<string, string>[] = [
      bearer,
      { ...bearer, authorization: `Bearer ${CANARY}-wrong` },
      { ...bearer, authorization: `Basic ${CANARY}wrong` },
      { ...bearer, 'x-apikey': `${CANARY}-key`, cookie: `token=${CANARY}-cookie` },
      { ...bearer, 'content-type': `text/${CANARY}` }
    ]
    const bodies = [
      '{}',
      `{"access_token":"${CANARY}-body"`,
      `{"user_id":"${CANARY}-body","token":"${CANARY}"}`,
      `{"user_id":10011,"message":[{"type":"text","data":{"text":"my password is ${CANARY}-text"}}]}`
    ]
    for (const api of ['get_login_info', 'send_private_message', 'no_such_api']) {
      for (const header of headers) {
        for (const body of bodies) {
          const query = `access_token=${CANARY}-query&api_key=${CANARY}-query`
          await (await fetch(`${app.url}/${api}?${query}`, { method: 'POST', headers: header, body })).text()
        }
      }
    }
    for (const token of [`${CANARY}-wrong`, `${CANARY}%2dwrong`]) {
      await t.rejects(openSocket(t, `${app.ws}/?access_token=${token}`))
      await t.rejects(openSocket(t, `${app.ws}/nothing?access_token=${token}`))
    }
    const bot = await openSocket(t, `${app.ws}/?access_token=${CANARY}-bot-token`)
    for (const frame of [`{"token":"${CANARY}-frame"`, `{"action":"${CANARY}-action","echo":"${CANARY}-echo"}`]) {
      bot.send(frame)
      await bot.next()
    }
    bot.send(`"${CANARY}"`.padEnd(3000))
    t.equal((await bot.closed).code, 1009)
  })

  await t.test('at the doors of people', async (t) => {
    const login = async (body: string): Promise<any> => {
      const headers = { 'content-type': 'application/json' }
      return (await fetch(`${app.url}/api/auth/login`, { method: 'POST', headers, body })).json()
    }
    await login(JSON.stringify({ username: 'alice', password: `${CANARY}-wrong` }))
    await login(`{"username":"alice","password":"${CANARY}-broken`)
    const { token, refresh_token } = await login(JSON.stringify({ username: 'alice', password }))
    t.type(token, 'string')
    secrets.push(token.split('.')[2], token)
    if (refresh_token) secrets.push(refresh_token.split('.')[2], refresh_token)
    for (const body of [{ refresh_token }, { refresh_token: `${CANARY}-refresh` }]) {
      const response = await fetch(`${app.url}/api/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(body)
      })
      await response.text()
    }
    const form = new FormData()
    form.set('file', new Blob([`${CANARY}-bytes`]), 'x.bin')
    const headers = { authorization: `Bearer ${token}` }
    const uploaded = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
    const { file_url } = (await uploaded.json()) as { file_url: string }
    const signature = new URL(file_url, app.url).searchParams.get('sig')
    if (signature === null) return t.fail('a link has a signature')
    secrets.push(signature)
    for (const path of [file_url, file_url.replace('exp=', 'exp=1'), `/api/files/1?sig=${CANARY}-sig`])
      await (await fetch(`${app.url}${path}`)).text()
    const good = await openSocket(t, `${app.ws}/ws?token=${token}`)
    good.send(`{"type":"message.send","payload":{"token":"${CANARY}-frame"}}`)
    await good.next()
    const wrong = await openSocket(t, `${app.ws}/ws?token=${CANARY}-jwt`).catch(() => undefined)
    await wrong?.closed
  })

  await t.test('with a request that cannot be read', async () => {
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write(
      `POST /x?access_token=${CANARY}-raw HTTP/1.1\r\nAuthorization: Bearer ${CANARY}-raw\r\nbad header\r\n\r\n`
    )
    await once(socket, 'close')
    await app.logged('client error')
  })

  await t.test('towards webhooks and reverse sockets', async () => {
    const [reverseBot] = await dialled
    reverseBot.on('error', () => {})
    const headers = { authorization: `Bearer ${CANARY}-bot-token`, 'content-type': 'application/json' }
    const body = JSON.stringify({ group_id: 100001, message: text(`${CANARY}-text`) })
    await fetch(`${app.url}/send_group_message`, { method: 'POST', headers, body })
    await hook.next()
    await app.logged('answered 500')
    await hook.next()
    await app.logged('an action in the answer')
    await app.logged('ECONNREFUSED')
    await app.logged('401')
    reverseBot.close(1008, `${CANARY}`.slice(0, 3))
    await app.logged('1008')
  })

  await app.lactea.app.close()
  t.ok(app.lines.length > 50, `${app.lines.length} lines were looked at`)
  const numbers = [...Buffer.from(CANARY)].join(',')
  for (const line of app.lines) {
    const found = [...secrets, numbers, Buffer.from(CANARY).toString('hex')].find((secret) => line.includes(secret))
    if (found !== undefined) t.fail(`a secret (${found.slice(0, 20)}) in: ${line}`)
  }
})
