import { hash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { chmod, mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hash as argon2, verify } from '@node-rs/argon2'
import type { PasswordHasher } from './core/accounts.ts'
import { describeAccess } from './store/index.ts'

/** An access token: 32 random bytes, in letters that need no escaping in a URL (some clients do not escape). */
export function createToken(): string {
  return randomBytes(32).toString('base64url')
}

/** Short enough to be typed: what proves the operator on the first visit to the console. */
export function createSetupCode(): string {
  const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789'
  const code = Array.from(randomBytes(8), (byte) => letters[byte % letters.length]).join('')
  return `${code.slice(0, 4)}-${code.slice(4)}`
}

/** A UUID, in one piece: Node puts it together of twenty, which would all be kept with each socket that has one. */
export const createId = (): string => Buffer.from(randomUUID(), 'latin1').toString('latin1')

const BASE62 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** `call_` and 22 letters and digits: 131 random bits (IM-Suite 2.5). */
export function createCallId(): string {
  let id = ''
  // 248 is the last multiple of 62 that a byte reaches: every letter is as likely as the next.
  while (id.length < 22) for (const byte of randomBytes(32)) if (byte < 248) id += BASE62[byte % 62]
  return `call_${id.slice(0, 22)}`
}

/** SHA-256 of the UTF-8 bytes. A token has 256 random bits, so nothing slower is needed. */
export function digestToken(token: string): Buffer {
  return hash('sha256', token, 'buffer')
}

/** Takes as long for whatever is not the same, however much of it is. */
export function isSameSecret(one: string, other: string): boolean {
  let difference = one.length ^ other.length
  for (let index = 0; index < one.length; index++) difference |= one.charCodeAt(index) ^ other.charCodeAt(index)
  return difference === 0
}

/** What tokens open. Holds their digests alone. */
export interface Keyring<Grant> {
  /** What the first of these tokens opens that opens anything. A wrong one takes as long as a right one. */
  readonly find: (tokens: readonly string[]) => Grant | undefined
}

export function createKeyring<Grant>(grants: Iterable<readonly [token: string, grant: Grant]>): Keyring<Grant> {
  const known = Array.from(grants, ([token, grant]) => ({ digest: digestToken(token), grant }))
  return {
    find(tokens) {
      let found: { readonly grant: Grant } | undefined
      for (const digest of tokens.map(digestToken))
        for (const key of known) if (timingSafeEqual(key.digest, digest)) found ??= key
      return found?.grant
    }
  }
}

/** argon2id with the parameters of OWASP's first choice: 19 MiB, two passes; runs in the thread pool. */
export const passwords: PasswordHasher = {
  hash: (password) => argon2(password, { memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
  verify: (hashed, password) => verify(hashed, password),
  decoy: '$argon2id$v=19$m=19456,t=2,p=1$3VVsfPppUClv54KT2eb7jg$1ApJ3ReNTqw+13gbz6OiItdIp0UrwmQi28whZfq7oZI'
}

/** The data directory, made for its owner alone. Throws with a sentence. */
export async function prepareDataDir(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((err: Error) => {
    throw new Error(`cannot make the data directory: ${err.message}; ${describeAccess(dir)}`, { cause: err })
  })
  await chmod(dir, 0o700).catch((err: NodeJS.ErrnoException) => {
    // A mounted volume may belong to somebody else and still be writable; whether it is, the lock finds out.
    if (err.code !== 'EPERM' && err.code !== 'EROFS') throw err
  })
}

/** The key that signs people's tokens: made once, kept in the data directory, readable for its owner alone. */
export async function loadJwtSecret(dir: string): Promise<string> {
  const path = join(dir, 'jwt.secret')
  const existing = await readFile(path, 'utf8').catch((err: NodeJS.ErrnoException) => {
    if (err.code === 'ENOENT') return ''
    throw err
  })
  if (existing.trim() !== '') return existing.trim()
  const secret = randomBytes(48).toString('base64url')
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(`${secret}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  return secret
}
