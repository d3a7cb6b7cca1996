import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { world } from '../helpers/app.ts'
import { makeCertificates, type Certificate } from '../helpers/certificates.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { runLactea, startService } from '../helpers/service.ts'

t.test(
  'with TLS and further addresses the start prints them all, and SIGHUP reads the certificates again',
  async (t) => {
    const { dir, ca, server, renewed, expired } = await makeCertificates(t)
    const files = { cert: join(dir, 'live.crt'), key: join(dir, 'live.key') }
    const place = ({ certFile, keyFile }: Certificate): void => {
      copyFileSync(certFile, files.cert)
      copyFileSync(keyFile, files.key)
    }
    place(server)
    const listeners = [{ port: 0 }, { port: 0, doors: ['milky', 'ops'], tls: files }]
    const service = await startService(t, makeDirectory(t, { ...world, server: { tls: files, listeners } }))
    t.match(service.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    t.ok(service.printed.includes(`${service.url}/chat`))
    const [, plain = ''] = /^ +also on +(http:\S+) \(all doors\)$/m.exec(service.printed) ?? []
    const [, secure = ''] = /^ +also on +(https:\S+) \(milky, ops\)$/m.exec(service.printed) ?? []
    t.equal((await fetch(`${plain}/health`)).status, 200)

    const shown = async (url: string): Promise<string> => {
      const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', ca: ca.cert })
      await once(socket, 'secureConnect')
      const certificate = socket.getPeerX509Certificate()?.toString() ?? ''
      socket.destroy()
      return certificate.trim()
    }
    const reload = async (says: string): Promise<void> => {
      void service.kill('SIGHUP')
      while (!service.log().includes(says)) await fetch(`${plain}/health`)
    }
    for (const url of [service.url, secure]) t.equal(await shown(url), server.cert.trim())
    place(expired)
    await reload('the certificates cannot be read again')
    t.match(service.log(), /server\.tls\.cert: .+ expired on/)
    for (const url of [service.url, secure]) t.equal(await shown(url), server.cert.trim(), 'the old one stays')
    place(renewed)
    await reload('the certificates were read again')
    for (const url of [service.url, secure]) t.equal(await shown(url), renewed.cert.trim())
    t.strictSame(await service.kill('SIGTERM'), { code: 0, signal: null })
  }
)

t.test('a start that cannot be is refused with one sentence', async (t) => {
  async function refuses(t: Test, cwd: string, says: RegExp): Promise<void> {
    const { code, stdout, stderr } = await runLactea(['start', '--port', '0'], { cwd })
    t.strictSame([code, stdout], [1, ''])
    t.match(stderr, says)
    t.equal(stderr.trim().split('\n').length, 1, 'one line, no stack')
  }

  t.test('a key of the maim door for nobody, or for a person', async (t) => {
    const withKey = (account: number): string =>
      makeDirectory(t, {
        ...world,
        maim: {
          keys: [
            { api_key: 'CANARY-one', account: 10001 },
            { api_key: 'CANARY', account }
          ]
        }
      })
    await refuses(
      t,
      withKey(10099),
      /^maim\.keys\[1\]\.account names account 10099, which does not exist; (?!.*CANARY)/
    )
    await refuses(t, withKey(10011), /^maim\.keys\[1\]\.account names account 10011, which is a person(?!.*CANARY)/)
  })

  t.test('a certificate that is not there', async (t) => {
    const tls = { cert: 'no.crt', key: 'no.key' }
    await refuses(t, makeDirectory(t, { server: { tls } }), /^server\.tls\.cert: cannot read the file "no\.crt"/)
  })
})
