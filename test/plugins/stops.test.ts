import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { startApp } from '../helpers/app.ts'

async function open(t: Test, url: string): Promise<{ socket: Socket; heard: () => string }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8')
  t.teardown(() => socket.destroy())
  let heard = ''
  socket.on('data', (chunk: string) => (heard += chunk))
  socket.on('error', () => {})
  await once(socket, 'connect')
  return { socket, heard: () => heard }
}

const call = (path: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token-one\r\nContent-Type: application/json\r\n`

void t.test(
  'while the gateway ends, what is under way is answered, and what begins is told when to come back',
  async (t) => {
    const { url, lactea } = await startApp(t)
    const underWay = await open(t, url)
    underWay.socket.write(`${call('/get_login_info')}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`)
    await once(underWay.socket, 'data')
    const [late, probe] = [await open(t, url), await open(t, url)]
    // Connections on which something has begun are not idle.
    late.socket.write(call('/get_login_info'))
    probe.socket.write('GET /ready HTTP/1.1\r\nHost: localhost\r\n')
    // What was written before it has been read when it is answered.
    await fetch(`${url}/ready`)

    const closed = lactea.app.close()
    late.socket.write('Content-Length: 2\r\n\r\n{}')
    probe.socket.write('\r\n')
    await Promise.all([once(late.socket, 'close'), once(probe.socket, 'close')])
    t.match(late.heard(), /^HTTP\/1\.1 503 /)
    t.match(late.heard(), /\r\nretry-after: (?:[2-9]|1\d)\r\n/)
    t.match(late.heard(), /\r\nconnection: close\r\n/i)
    t.match(probe.heard(), /^HTTP\/1\.1 503 [^]+draining/)
    underWay.socket.write('{}')
    await once(underWay.socket, 'close')
    t.match(underWay.heard(), /HTTP\/1\.1 200 OK[^]+"status":"ok"/)
    await closed
  }
)
