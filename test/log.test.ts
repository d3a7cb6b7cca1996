import { inspect } from 'node:util'
import t from 'tap'
import { createLogger, redact } from '../src/log.ts'

void t.test('a line is without what it was told to hide, however it stands there', async (t) => {
  const lines: string[] = []
  const log = createLogger('info', (line) => lines.push(line))
  const secret = 'a "quoted" ünd \\ long secret/+='
  log.hide([secret, 'short', 'abcdefgh', 'abcdefghijkl'])
  log.info({ secret }, inspect({ secret }))
  log.info(JSON.stringify({ as: JSON.stringify({ secret }) }))
  log.error({ err: new Error(secret, { cause: new Error(encodeURIComponent(secret)) }) })
  log.child({ of: `${secret}${secret}` }).warn('abcdefghijklm and abcdefgh-abcdefgh, short')
  const all = lines.join('')
  for (const part of ['quoted', 'long secret', 'ijkl']) t.notMatch(all, part)
  t.match(lines.at(-1), '"of":"******","msg":"***m and ***-***, short"')
  for (const line of lines) t.doesNotThrow(() => JSON.parse(line), line)
})

void t.test('what looks like a secret is taken out', async (t) => {
  const jwt = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from('{}').toString('base64url')}.c2lnbmF0dXJl`
  const token = 'AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE'
  const rows: [line: string, shown: string][] = [
    ['?access_token=abc&room=5', '?access_token=***&room=5'],
    ['{"metrics_token":"abc","room":5}', '{"metrics_token":"***","room":5}'],
    ['"{\\"token\\":\\"abc\\"}"', '"{\\"token\\":\\"***\\"}"'],
    ["{ api_key: 'abc', room: 'x' }", "{ api_key: '***', room: 'x' }"],
    ['{"legacy_tokens":["a","b"],"room":5}', '{"legacy_tokens":[],"room":5}'],
    ['"authorization":"Bearer abc"', '"authorization":"***"'],
    ['sec-websocket-protocol: bearer, abc', 'sec-websocket-protocol: bearer ***'],
    ['ws://user:abc@host/x', 'ws://***@host/x'],
    [`verified ${jwt} for 5`, 'verified *** for 5'],
    [`made ${token}, once`, 'made ***, once'],
    ['whsec_YWJj is the key', 'whsec_*** is the key'],
    ['{"setup_code":"ABCD-EFGH"}', '{"setup_code":"***"}'],
    // These are none.
    ['{"code":"ECONNREFUSED","status":401}', '{"code":"ECONNREFUSED","status":401}'],
    ['the token is missing', 'the token is missing'],
    ['refresh_token: expected a token, it is missing', 'refresh_token: expected a token, it is missing']
  ]
  for (const [line, shown] of rows) t.equal(redact(line), shown)
})

void t.test('a long line of anything is read in a time that grows with its length alone', async (t) => {
  const log = createLogger('info', () => {})
  log.hide(Array.from({ length: 5000 }, (_, index) => `secret number ${index}`))
  // A pattern that goes back at every letter would need hours for one of these.
  for (const piece of [
    'a',
    'a-',
    '\\',
    '"token"',
    'token',
    'eyJ-',
    'eyJ.',
    'Bearer ',
    ' ',
    'x://',
    'token: [',
    "token: '",
    'whsec_-'
  ])
    log.info(piece.repeat(Math.ceil(300_000 / piece.length)))
  t.pass()
})
