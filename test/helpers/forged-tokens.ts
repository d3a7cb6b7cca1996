import { SignJWT, UnsecuredJWT } from 'jose'
import { createIssuerKey, type IssuerKey, type TestIssuer } from './issuer.ts'

export interface ForgedToken {
  readonly label: string
  readonly token: string
  /** What people are told; that it is not valid when absent. */
  readonly fault?: string
}

type Row = [label: string, token: string | Promise<string>, fault?: string]

/** Names of keys that mean something to whoever looks them up on a disk or in a database. */
const KIDS = [
  '../../../../dev/null',
  '/etc/passwd',
  "' or '1'='1",
  "x' union select 'AAAA' --",
  '$(id)',
  '\0',
  '__proto__',
  'constructor'
]

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')

/** Tokens that look like those of an issuer whose first keys are RS256 and ES256, and that nobody may believe. */
export async function forgeTokens(issuer: TestIssuer): Promise<ForgedToken[]> {
  const [rsa, ec] = issuer.keys as [IssuerKey, IssuerKey]
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer.issuer, aud: issuer.audience, sub: 'u-1', user_id: 10011, exp: now + 3600 }
  const withSecret = (secret: string): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: rsa.kid }).sign(new TextEncoder().encode(secret))
  const critical = new SignJWT(claims)
    .setProtectedHeader({ alg: 'RS256', kid: rsa.kid, crit: ['must-know'], 'must-know': true })
    .sign(rsa.privateKey, { crit: { 'must-know': true } })
  const stranger = await createIssuerKey('RS256')
  const emptyKey = new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', kid: '../../../../dev/null' })
    .sign(new Uint8Array(32))
  const good = await issuer.sign()
  const [header, payload, signature] = good.split('.') as [string, string, string]
  const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'u-2' })).toString('base64url')
  const asPs = Buffer.from(JSON.stringify({ alg: 'PS256', kid: rsa.kid })).toString('base64url')

  const rows: Row[] = [
    ['alg none', new UnsecuredJWT(claims).encode()],
    ['no signature', `${header}.${payload}.`],
    ...['None', 'NONE', 'nOnE', ''].map((alg): Row => [`alg ${alg}`, `${encode({ alg, typ: 'JWT' })}.${payload}.`]),
    ...KIDS.map((kid): Row => [`the key ${JSON.stringify(kid)}`, issuer.sign({}, { header: { kid } })]),
    ['HMAC with nothing, under a key that is an empty file', emptyKey],
    [
      'a key at an address',
      issuer.sign({}, { key: stranger, header: { jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/' } })
    ],
    ['HMAC with the public key, as PEM', withSecret(rsa.publicPem)],
    ['HMAC with the public key, as JSON', withSecret(JSON.stringify(rsa.publicJwk))],
    ['HMAC with the modulus', withSecret(rsa.publicJwk.n ?? '')],
    ['a key that is not known', issuer.sign({}, { key: stranger })],
    ['a key that is not known under the name of one that is', issuer.sign({}, { key: { ...stranger, kid: rsa.kid } })],
    ['a key that came along', issuer.sign({}, { key: stranger, header: { jwk: stranger.publicJwk } })],
    ['the key of another algorithm', issuer.sign({}, { key: { ...ec, kid: rsa.kid } })],
    ['another algorithm of the same key', `${asPs}.${payload}.${signature}`],
    ['other claims under the signature', `${header}.${changed}.${signature}`],
    ['a header that must be understood', critical],
    ['another issuer', issuer.sign({ iss: 'https://other.test' })],
    ['no issuer', issuer.sign({ iss: undefined })],
    ['another audience', issuer.sign({ aud: ['somebody', 'else'] })],
    ['no audience', issuer.sign({ aud: undefined })],
    ['no end', issuer.sign({ exp: undefined })],
    ['no subject', issuer.sign({ sub: undefined })],
    ['an empty subject', issuer.sign({ sub: '' })],
    ['a subject without end', issuer.sign({ sub: 's'.repeat(256) })],
    ['a refresh token', issuer.sign({ typ: 'Refresh' })],
    ['a message about a log-out', issuer.sign({}, { header: { typ: 'logout+jwt' } })],
    ['expired', issuer.sign({ exp: now - 120 }), '令牌已过期'],
    ['not valid yet', issuer.sign({ nbf: now + 120 })]
  ]
  return Promise.all(
    rows.map(async ([label, made, fault]) => ({ label, token: await made, ...(fault !== undefined && { fault }) }))
  )
}
