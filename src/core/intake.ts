import type { MediaKind } from './segment.ts'
import type { StoredFile } from './store.ts'

/** What a bot hands over by an address (Milky: `file://`, `http(s)://`, `base64://`). */
export interface Delivery {
  readonly ownerId: number
  readonly uri: string
  /** The parameter that the address stands in; errors name it. */
  readonly field: string
  /** What it is to be shown as; anything else is refused. */
  readonly kind: MediaKind
  /** What the file is called; what its address or its content says when absent. */
  readonly name?: string | undefined
}

/** Fetches what an address means and keeps it as a file of the account's. Throws `ActionError` to refuse. */
export interface Intake {
  readonly take: (delivery: Delivery) => Promise<StoredFile>
  /** Takes several for one call: all of them together may last no longer than one alone, counted from here. */
  readonly begin: () => (delivery: Delivery) => Promise<StoredFile>
}

/** One address that something is read from. */
export interface SourceOrder {
  readonly ownerId: number
  readonly address: URL
  readonly field: string
  /** Ends the reading; its reason is the `ActionError` that the caller hears. */
  readonly signal: AbortSignal
}

/**
 * Where bytes come from. `use` reads them; when it has ended, well or not, nothing is open any more.
 * Throws `ActionError` to refuse: what is closed to bots is answered like what does not exist.
 */
export type Source = <T>(order: SourceOrder, use: (bytes: AsyncIterable<Uint8Array>) => Promise<T>) => Promise<T>
