import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** Keeps text that has to be read again where others might read it. */
export interface Seal {
  readonly close: (text: string) => Uint8Array
  /** Undefined when it was sealed with another key, or is not what was sealed. */
  readonly open: (sealed: Uint8Array) => string | undefined
}

const NONCE_BYTES = 12
const TAG_BYTES = 16

/** AES-256-GCM under a key that is derived from the secret, one for each purpose. */
export function createSeal(secret: string, purpose: string): Seal {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `lactea ${purpose}`, 32))

  return {
    close(text) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      const hidden = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, hidden, cipher.getAuthTag()])
    },

    open(sealed) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
      const end = sealed.length - TAG_BYTES
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
      decipher.setAuthTag(sealed.subarray(end))
      try {
        return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()]).toString('utf8')
      } catch {
        return undefined
      }
    }
  }
}
