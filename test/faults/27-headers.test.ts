import { connect } from 'node:net'
import type { Test } from 'tap'
import { startApp } from '../helpers/app.ts'
import { fault } from './lab/fault.ts'

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const headers = (count: number): string => Array.from({ length: count }, (_, index) => `a${index}: b\r\n`).join('')
const get = (more: string, target = '/health'): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
const socket = (more: string): string => get(HANDSHAKE + more, '/?access_token=token-one')
const post = (more: string): string =>
  `POST /get_login_info HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-one\r\nContent-Type: application/json\r\n${more}`

/** Requests that no honest client makes; the answer to each is a refusal, or else this status. */
const REQUESTS: readonly (readonly [label: string, request: string, status?: number])[] = [
  ['2 000 headers', get(headers(2000)), 431],
  ['201 headers', get(headers(200)), 431],
  ['2 000 headers of a handshake', socket(headers(2000)), 431],
  ['201 headers of a handshake', socket(headers(200)), 431],
  ['2 000 headers behind an offer of HTTP/2', get(`Connection: Upgrade\r\nUpgrade: h2c\r\n${headers(1500)}`), 431],
  ['2 000 headers to nothing', get(headers(1500), '/nothing'), 431],
  ['a header of 64 KiB', get(`a: ${'b'.repeat(65_536)}\r\n`), 431],
  ['a header name of 64 KiB', get(`${'b'.repeat(65_536)}: a\r\n`), 431],
  ['a target of 64 KiB', get('', `/${'b'.repeat(65_536)}`), 431],
  ['Upgrade twice', socket('Upgrade: websocket\r\n')],
  ['Upgrade to two protocols', socket('Upgrade: h2c\r\n')],
  ['Sec-WebSocket-Key twice', socket('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n')],
  ['Sec-WebSocket-Version twice', socket('Sec-WebSocket-Version: 13\r\n')],
  ['Sec-WebSocket-Version 99', socket('').replace('Version: 13', 'Version: 99')],
  ['Sec-WebSocket-Protocol with a hole', socket('Sec-WebSocket-Protocol: a,,b\r\n')],
  ['a handshake of HTTP/1.0', socket('').replace('HTTP/1.1', 'HTTP/1.0')],
  ['Content-Length and chunked', post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')],
  ['chunked and Content-Length', post('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n')],
  ['Content-Length twice', post('Content-Length: 2\r\nContent-Length: 4\r\n\r\n{}  ')],
  ['Content-Length below nothing', post('Content-Length: -2\r\n\r\n{}')],
  ['an unknown Transfer-Encoding', post('Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n')],
  ['chunked, but not last', post('Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n')],
  ['a chunk of 2^68 bytes', post('Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n')],
  ['a chunk size that is none', post('Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n')],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/3.7', 'GET /health HTTP/3.7\r\nHost: x\r\n\r\n'],
  ['HTTP/0.9', 'GET /health\r\n\r\n'],
  ['no Host', 'GET /health HTTP/1.1\r\n\r\n'],
  ['two Hosts', get('Host: y\r\n')],
  ['a target with a host', get('', 'http://elsewhere.example/health')],
  ['a handshake whose target has a host', socket('').replace('GET /', 'GET http://elsewhere.example/')],
  ['a target that is *', get('', '*')],
  ['a NUL in a header', get('a: b\0c\r\n')],
  ['a space before the colon', get('a : b\r\n')],
  ['a folded header', get('a: b\r\n c\r\n')],
  ['lines without CR', 'GET /health HTTP/1.1\nHost: x\n\n'],
  ['the hello of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['an expectation that nobody knows', post('Connection: close\r\nExpect: nonsense\r\nContent-Length: 2\r\n\r\n{}')]
]

fault({
  number: 27,
  title: 'headers that mean harm',
  mark: '2 000 headers, 64 KB header, `Upgrade` twice, `Content-Length` + chunked, h2c: 4xx, no crash (CVE-2024-37890 class).',
  async run({ t, figure }) {
    const app = await startApp(t)
    const port = Number(new URL(app.url).port)
    let refused = 0
    for (const [label, request, wanted] of REQUESTS) {
      const answers = statusesOf(await ask(t, port, request))
      const isRefused = answers.length === 1 && answers.every((one) => one >= 400 && one < 500)
      const isAsWanted = isRefused && (wanted === undefined || answers[0] === wanted)
      if (isAsWanted) refused++
      else t.comment(`${label}: answered ${answers.join(' and ') || 'nothing'}`)
    }
    figure('refused', refused, { is: REQUESTS.length })
    // Node's parser knows the method, and nobody serves it: the connection ends without a word.
    t.equal(await ask(t, port, 'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n'), '')

    const offer = 'Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
    const [plain] = statusesOf(await ask(t, port, get(offer)))
    t.equal(plain, 200, 'an offer of HTTP/2 is not taken, and what was asked is answered (RFC 9110 §7.8)')
    figure('calls that fail afterwards', (await app.call('token-one', 'get_login_info')).status === 'ok' ? 0 : 1, {
      is: 0
    })
  }
})

/** Everything that is answered until the connection ends, which it does by itself. */
async function ask(t: Test, port: number, request: string): Promise<string> {
  const client = connect(port, '127.0.0.1')
  client.on('error', () => {})
  t.teardown(() => client.destroy())
  let said = ''
  client.setEncoding('latin1').on('data', (text: string) => (said += text))
  client.write(request, 'latin1')
  await new Promise((resolve) => client.once('close', resolve))
  return said
}

function statusesOf(said: string): number[] {
  return [...said.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status))
}
