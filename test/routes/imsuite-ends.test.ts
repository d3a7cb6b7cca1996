import { once } from 'node:events'
import t from 'tap'
import { alice, bob, GROUP, heardSoFar, openDevice, startPeople, tokenOf } from '../helpers/people.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

void t.test('a device that says nothing', async (t) => {
  t.test('is let go, so that it comes back', async (t) => {
    const app = await startPeople(t, { limits: { im_silence: 60, im_ping: 60_000 } })
    const device = await openDevice(t, app, alice)
    t.match(await device.next(), { type: 'disconnect', payload: { reason: 'heartbeat_timeout' } })
    t.strictSame(await device.closed, { code: 1001, reason: 'heartbeat timeout' })
  })

  t.test('but answers pings is here', async (t) => {
    const app = await startPeople(t, { limits: { im_silence: 1000, im_ping: 100 } })
    const device = await openDevice(t, app, alice)
    for (let count = 0; count < 20; count++) await once(device.socket, 'ping')
    t.strictSame(await heardSoFar(device), [])
  })
})

void t.test('a token that ends within a minute', async (t) => {
  t.test('is announced to clients of the extension alone', async (t) => {
    const app = await startPeople(t)
    const token = await tokenOf(alice, 30)
    const [base, ext] = [
      await openDevice(t, app, alice, { token }),
      await openDevice(t, app, alice, { token, query: 'ext=1' })
    ]
    t.match(await ext.next(), { type: 'auth.expiring', payload: { expires_at: /Z$/ } })
    t.strictSame(await heardSoFar(base), [])
  })

  t.test('ends nothing that has a newer one by then', async (t) => {
    const app = await startPeople(t)
    const ext = await openSocket(t, `${app.ws}/ws?ext=1&token=${await tokenOf(alice, 2)}`)
    t.match(await ext.next(), { type: 'connect' })
    t.match(await ext.next(), { type: 'auth.expiring' })
    ext.send({ type: 'auth.refresh', id: 'r', payload: { token: await tokenOf(alice) } })
    t.match(await ext.next(), { type: 'ack', payload: { request_id: 'r' } })
    const other = await openSocket(t, `${app.ws}/ws?token=${await tokenOf(alice, 2)}`)
    t.match(await other.find((frame) => frame.type === 'disconnect'), { payload: { reason: 'auth_expired' } })
    t.strictSame(await heardSoFar(ext), [])
  })
})

void t.test('a gateway that is told to be strict takes the document word by word', async (t) => {
  const app = await startPeople(t, { im: { lenient: false } })
  const device = await openDevice(t, app, alice)
  for (const frame of [
    { type: 'message.send', data: { chat_id: GROUP, content: 'x' } },
    { type: 'message.send', payload: { chatId: GROUP, content: 'x' } }
  ]) {
    device.send(frame)
    t.match(await device.next(), { type: 'error', payload: { error_code: 'VALIDATION_ERROR' } })
  }
})

void t.test('errors are told in the language of who reads them', async (t) => {
  const app = await startPeople(t)
  const token = await tokenOf(alice)
  const rows: [language: string, message: RegExp][] = [
    ['zh-CN,zh;q=0.9,en;q=0.5', /^请求参数验证失败（content: .*）$/],
    ['en', /^content: /],
    ['de', /^content: /]
  ]
  for (const [language, message] of rows) {
    const device = await openSocket(t, `${app.ws}/ws?token=${token}`, { headers: { 'accept-language': language } })
    await device.next()
    device.send({ type: 'message.send', payload: { chat_id: GROUP } })
    t.match(await device.next(), { type: 'error', payload: { message } }, language)
  }
})

void t.test('those who have gone leave nothing behind', async (t) => {
  const app = await startPeople(t, { limits: { im_connections: 1000, im_message_burst: 1000, im_message_rate: 1000 } })
  const { hub, devices } = app.lactea.gateway
  const before = [hub.size(), devices.count(), app.lactea.app.farewells.size]
  for (let round = 0; round < 3; round++) {
    const here = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        openDevice(t, app, index % 2 === 0 ? alice : bob, { query: index % 3 === 0 ? 'ext=1' : '' })
      )
    )
    t.equal(devices.count(), (before[1] ?? 0) + 60)
    for (const device of here) device.send({ type: 'typing', payload: { chat_id: GROUP } })
    await heardSoFar(here[0] as TestSocket)
    for (const [index, device] of here.entries()) {
      if (index % 2 === 0) device.socket.terminate()
      else device.socket.close()
    }
    await Promise.all(here.map((device) => device.closed))
    // The server sees the end of a connection a moment later.
    while (devices.count() > (before[1] ?? 0)) await new Promise((resolve) => setImmediate(resolve))
    t.strictSame([hub.size(), devices.count(), app.lactea.app.farewells.size], before)
  }
})
