import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import type { Test } from 'tap'

export interface IssuerKey {
  readonly alg: string
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK
  /** The public key as PEM, which anybody may know. */
  readonly publicPem: string
}

export interface TestIssuer {
  /** Where the keys are. */
  readonly url: string
  /** What tokens say in `iss`, and in `aud`. */
  readonly issuer: string
  readonly audience: string
  readonly keys: IssuerKey[]
  /** The headers of those who asked for the keys. */
  readonly asked: (string | undefined)[]
  /** A good token for an hour; `more` goes over its claims, `header` over its header. */
  readonly sign: (more?: Record<string, unknown>, how?: { key?: IssuerKey; header?: object }) => Promise<string>
  /** The status and, instead of the keys, the text that is answered from now on. */
  readonly answer: (status: number, text?: string) => void
  readonly stop: () => Promise<void>
  readonly restart: () => Promise<void>
}

export async function createIssuerKey(alg: string): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const kid = randomUUID()
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  return { alg, kid, privateKey, publicJwk, publicPem: await exportSPKI(publicKey) }
}

/** A server with the public keys of an issuer of tokens on a free port; gone when the test ends. `now` in Unix seconds. */
export async function startIssuer(
  t: Test,
  { algorithms = ['RS256'], now = unixSeconds }: { algorithms?: string[]; now?: () => number } = {}
): Promise<TestIssuer> {
  const keys = await Promise.all(algorithms.map(createIssuerKey))
  const asked: (string | undefined)[] = []
  let answer: { status: number; text: string | undefined } = { status: 200, text: undefined }
  const server = createServer((request, response) => {
    asked.push(request.headers.authorization)
    response.writeHead(answer.status, { 'content-type': 'application/json', connection: 'close' })
    response.end(answer.text ?? JSON.stringify({ keys: keys.map(({ publicJwk }) => publicJwk) }))
  })
  const listen = (port: number): Promise<void> => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await listen(0)
  t.teardown(stop)
  const { port } = server.address() as AddressInfo

  const [issuer, audience] = ['https://issuer.test/realm', 'lactea']
  return {
    url: `http://127.0.0.1:${port}/jwks`,
    issuer,
    audience,
    keys,
    asked,
    sign(more = {}, { key = keys[0], header = {} } = {}) {
      if (!key) throw new Error('the issuer has no keys')
      const time = now()
      return new SignJWT({ iss: issuer, aud: audience, sub: 'u-1', iat: time, exp: time + 3600, ...more })
        .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
        .sign(key.privateKey)
    },
    answer(status, text) {
      answer = { status, text }
    },
    stop,
    restart: () => listen(port)
  }
}

function unixSeconds(): number {
  return Math.floor(Date.now() / 1000)
}
