import type { Envelope } from './envelope.ts'

/** The type on the wire of a custom message: `ping` and `custom_ping` are the same name (contract 2.4). */
export function toCustomType(name: string): string {
  return name.startsWith('custom_') ? name : `custom_${name}`
}

/** Gets the whole envelope; `metadata` is where it came from. */
export type CustomHandler<Metadata> = (envelope: Envelope, metadata: Metadata) => unknown
