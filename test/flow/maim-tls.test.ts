import t, { type Test } from 'tap'
import { startApp, text, world, type Running } from '../helpers/app.ts'
import { startBotServer, type BotServer } from '../helpers/bot-server.ts'
import { makeCertificates, type Certificate } from '../helpers/certificates.ts'
import { openSocket } from '../helpers/socket.ts'

/** A brain's server that shows this certificate and wants one of the authority. */
async function startBrain(t: Test, { cert, key }: Certificate, ca: Certificate): Promise<BotServer & { wss: string }> {
  const server = await startBotServer(t, {
    tls: { cert, key, ca: ca.cert, requestCert: true, rejectUnauthorized: true }
  })
  return { ...server, wss: `wss://localhost:${new URL(server.url).port}/ws` }
}

function startLinked(t: Test, url: string, mode: 'legacy' | 'api-server', tls: object | null): Promise<Running> {
  const credentials = mode === 'legacy' ? { token: 'CANARY' } : { api_key: 'CANARY' }
  const maim = [{ url, mode, ...credentials, ...(tls && { tls }) }]
  return startApp(t, { config: { bots: [{ ...world.bots[0], maim }, world.bots[1]] }, logLevel: 'info' })
}

t.test('links to brains', async (t) => {
  const made = await makeCertificates(t)
  const { ca, server, client, strangeClient, otherHost, strange } = made
  const own = { cert: client.certFile, key: client.keyFile }
  const good = { ca: ca.certFile, ...own }

  for (const mode of ['legacy', 'api-server'] as const)
    t.test(`${mode}: with the authority and a certificate of our own the brain hears the chat`, async (t) => {
      const brain = await startBrain(t, server, ca)
      const app = await startLinked(t, brain.wss, mode, good)
      const socket = await brain.next()
      await app.logged('connected')
      await app.call('token-two', 'send_group_message', { group_id: 100001, message: text('by TLS') })
      t.match(await socket.nextText(), 'by TLS')
    })

  const refusals: [label: string, shown: Certificate, tls: object | null, why: RegExp][] = [
    ['an authority that is not named', server, null, /self.signed|unable to verify|unable to get/i],
    [
      'another authority',
      server,
      { ...good, ca: made.strangeCa.certFile },
      /self.signed|unable to verify|unable to get/i
    ],
    ['a server that another authority has signed', strange, good, /self.signed|unable to verify|unable to get/i],
    ['a certificate for another host', otherHost, good, /altnames|does not match/i],
    [
      'no certificate of our own',
      server,
      { ca: ca.certFile },
      /certificate required|socket hang up|ECONNRESET|closed|1006/i
    ],
    [
      'a certificate of our own that the brain does not trust',
      server,
      { ca: ca.certFile, cert: strangeClient.certFile, key: strangeClient.keyFile },
      /unknown ca|socket hang up|ECONNRESET|closed|1006/i
    ]
  ]
  for (const [label, shown, tls, why] of refusals)
    t.test(`${label}: not connected, and the log says why`, async (t) => {
      const brain = await startBrain(t, shown, ca)
      const app = await startLinked(t, brain.wss, 'legacy', tls)
      const line = await app.logged('not connected')
      t.match((JSON.parse(line) as { why: string }).why, why)
      t.equal(brain.most(), 0)
      t.notMatch(app.lines.join('\n'), /CANARY/)
    })

  t.test('what may be left unchecked is connected to', async (t) => {
    const loose: [shown: Certificate, tls: object][] = [
      [otherHost, { ...good, check_host: false }],
      [strange, { ...own, verify: false }]
    ]
    for (const [shown, tls] of loose) {
      const brain = await startBrain(t, shown, ca)
      await startLinked(t, brain.wss, 'legacy', tls)
      t.ok(await brain.next())
    }
  })

  t.test('files that are not there end the start with a sentence', async (t) => {
    const tls = { ...good, ca: '/nowhere/ca.crt' }
    await t.rejects(startLinked(t, 'wss://localhost:1/ws', 'legacy', tls), { message: /tls\.ca: .+\/nowhere\/ca\.crt/ })
  })
})

t.test('our doors for brains, at an address of their own with mutual TLS', async (t) => {
  const { ca, server, client } = await makeCertificates(t)
  const tls = { cert: server.certFile, key: server.keyFile, ca: ca.certFile, client_cert: 'require' }
  const app = await startApp(t, {
    config: {
      server: {
        listeners: [
          { port: 0, doors: ['maim'], tls },
          { port: 0, doors: ['im'] }
        ]
      },
      maim: { keys: [{ api_key: 'key-one', account: 10001, chats: false }], legacy_tokens: ['raw'] }
    }
  })
  const [, brains = '', people = ''] = app.lactea.addresses().map(({ url }) => url.replace(/^http/, 'ws'))
  const own = { ca: ca.cert, cert: client.cert, key: client.key }

  for (const path of ['/ws', '/maim/ws'])
    t.test(`the API-Server at ${path} acknowledges and routes`, async (t) => {
      const peer = await openSocket(t, `${brains}${path}`, {
        ...own,
        headers: { 'x-apikey': 'key-one', 'x-platform': 'qq' }
      })
      peer.send({
        ver: 1,
        msg_id: 'm1',
        type: 'sys_std',
        meta: { sender_user: 'key-one', platform: 'qq', timestamp: 1 },
        payload: {
          message_info: { platform: 'qq', message_id: '1', time: 1 },
          message_segment: { type: 'text', data: `to myself by ${path}` },
          message_dim: { api_key: 'key-one', platform: 'qq' }
        }
      })
      // What an earlier connection has not acknowledged comes again.
      const words = `to myself by ${path}`
      t.ok(await peer.find(({ payload }) => payload.message_segment?.data === words))
      peer.socket.close()
      await peer.closed
    })

  for (const path of ['/ws', '/maim/legacy/ws'])
    t.test(`the legacy protocol at ${path} routes`, async (t) => {
      const open = (platform: string) =>
        openSocket(t, `${brains}${path}`, { ...own, headers: { platform, authorization: 'raw' } })
      const [one, two] = [await open('one'), await open('two')]
      one.send({
        message_info: { platform: 'two', message_id: '1', time: 1 },
        message_segment: { type: 'text', data: path }
      })
      t.ok(await two.find(({ message_segment: segment }) => segment.data === path))
      for (const { socket, closed } of [one, two]) {
        socket.close()
        await closed
      }
    })

  t.test('nobody comes in without a certificate, nor by another door', async (t) => {
    const shown = { headers: { 'x-apikey': 'key-one', 'x-platform': 'qq' } }
    await t.rejects(openSocket(t, `${brains}/ws`, { ca: ca.cert, ...shown }))
    const token = await app.signIn('alice', 'alice-secret')
    const closed = { message: 'refused with 404' }
    await t.rejects(openSocket(t, `${brains}/ws?token=${token}`, own), closed)
    await t.rejects(openSocket(t, `${people}/ws`, shown), closed)
    await t.rejects(openSocket(t, `${people}/ws`, { headers: { platform: 'qq', authorization: 'raw' } }), closed)
    await t.rejects(openSocket(t, `${people}/maim/ws`, shown), closed)
    t.match(await (await openSocket(t, `${people}/ws?token=${token}`)).next(), { type: 'connect' })
  })
})
