import type { Clock } from '../core/clock.ts'
import { ActionError } from '../core/errors.ts'
import type { Files } from '../core/files.ts'
import type { Delivery, Intake, Source } from '../core/intake.ts'
import type { StoredFile } from '../core/store.ts'

export interface IntakeOptions {
  readonly files: Pick<Files, 'add'>
  /** Behind `http://` and `https://`. */
  readonly web: Source
  /** Behind `file://`. */
  readonly disk: Source
  readonly maxBytes: number
  /** How long all that one call hands over may take. */
  readonly timeoutMs: number
  readonly clock: Pick<Clock, 'ticks' | 'after'>
}

export interface StoppableIntake extends Intake {
  /** Soon ends what is under way; the calls fail and may be made again. */
  readonly stop: () => void
}

const BASE64 = /^base64:\/\//i
/** Characters decoded at a time; four of them are three bytes. */
const PIECE = 64 * 1024
/** Characters of an address that is not bytes itself. */
const MAX_ADDRESS = 8192
/** What is under way when the gateway stops may take so much longer. */
const GRACE_MS = 5000

/** Takes in what bots hand over by an address (Milky 1.2 "outgoing segments", `uri`). */
export function createIntake({ files, web, disk, maxBytes, timeoutMs, clock }: IntakeOptions): StoppableIntake {
  const sources: { readonly [protocol: string]: Source } = { 'http:': web, 'https:': web, 'file:': disk }
  const open = new Set<AbortController>()
  const stopping = new ActionError('unavailable', 'the gateway is stopping, try again later')

  async function take(delivery: Delivery, endsAt: number): Promise<StoredFile> {
    const { ownerId, uri, field, kind, name } = delivery
    const add = (bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, ownName?: string): Promise<StoredFile> =>
      files.add({ ownerId, bytes: limit(bytes, field), name: name ?? ownName, as: { kind, field } })

    if (BASE64.test(uri)) return add(decode(uri, field))
    const { address, source } = findSource(delivery)
    const controller = new AbortController()
    const { signal } = controller
    const late = new ActionError('unavailable', `${field}: it took more than ${timeoutMs / 1000} s to fetch`, { field })
    const cancel = clock.after(Math.max(0, endsAt - clock.ticks()), () => controller.abort(late))
    open.add(controller)
    try {
      return await source({ ownerId, address, field, signal }, (bytes) => add(bytes, nameIn(address)))
    } finally {
      cancel()
      open.delete(controller)
    }
  }

  function findSource({ uri, field }: Delivery): { address: URL; source: Source } {
    const address = uri.length > MAX_ADDRESS ? null : URL.parse(uri)
    const source = address && Object.hasOwn(sources, address.protocol) ? sources[address.protocol] : undefined
    if (address && source) return { address, source }
    const hint = /^data:/i.test(uri) ? ' and after it only what follows the comma' : ''
    throw new ActionError('invalid', `${field}: expected http://, https://, file:/// or base64://${hint}`, { field })
  }

  function decode(uri: string, field: string): Iterable<Uint8Array> {
    const text = uri.slice('base64://'.length)
    const bare = /\s/.test(text) ? text.replace(/\s+/g, '') : text
    if (countBytes(bare) > maxBytes) throw tooLarge(field)
    if (/^data:/i.test(bare))
      throw new ActionError('invalid', `${field}: expected only base64 after base64://, without data:…;base64,`, {
        field
      })
    if (!/^[\w+/-]+={0,2}$/.test(bare) || bare.replace(/=+$/, '').length % 4 === 1)
      throw new ActionError('invalid', `${field}: expected base64 after base64://`, { field })
    return decodePieces(bare)
  }

  const tooLarge = (field: string): ActionError =>
    new ActionError('too_large', `${field}: a file has at most ${maxBytes} bytes`, { field })

  async function* limit(
    bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    field: string
  ): AsyncGenerator<Uint8Array> {
    let size = 0
    for await (const chunk of bytes) {
      size += chunk.length
      if (size > maxBytes) throw tooLarge(field)
      yield chunk
    }
  }

  return {
    take: (delivery) => take(delivery, clock.ticks() + timeoutMs),
    begin() {
      const endsAt = clock.ticks() + timeoutMs
      return (delivery) => take(delivery, endsAt)
    },
    stop() {
      clock.after(GRACE_MS, () => {
        for (const controller of open) controller.abort(stopping)
      })
    }
  }
}

function countBytes(base64: string): number {
  return Math.floor((base64.length * 3) / 4) - (base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0)
}

/** In pieces, so that the text and all of its bytes are never in memory at the same time. */
function* decodePieces(text: string): Generator<Uint8Array> {
  for (let start = 0; start < text.length; start += PIECE) yield Buffer.from(text.slice(start, start + PIECE), 'base64')
}

/** How the address calls the file; undefined when it does not. */
function nameIn({ pathname }: URL): string | undefined {
  const last = pathname.split('/').at(-1) ?? ''
  if (last === '') return undefined
  try {
    return decodeURIComponent(last)
  } catch {
    return last
  }
}
