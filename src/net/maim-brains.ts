import { createHearer, type Hearer, type HearerOptions } from './maim-hearer.ts'
import { createMediaReader, type MediaReaderOptions } from './maim-media.ts'
import { createTeller, type Teller, type TellerOptions } from './maim-teller.ts'

/** What stands between a bot and its brains, whichever way they are connected. */
export interface Brain {
  readonly teller: Teller
  readonly hearer: Hearer
}

export type BrainOf = (accountId: number) => Brain

/** What a `Gateway` has. */
export interface BrainOptions extends Omit<HearerOptions, 'accountId' | 'store' | 'links' | 'now'> {
  readonly store: HearerOptions['store'] & TellerOptions['store'] & MediaReaderOptions['store']
  readonly blobs: MediaReaderOptions['blobs']
  readonly links: HearerOptions['links'] & { readonly absoluteLinkOf: TellerOptions['linkOf'] }
  /** Unix seconds. */
  readonly now: HearerOptions['now']
}

/** One for each bot, made when it is asked for: all brains of a bot speak with one mouth, in one order. */
export function createBrains(options: BrainOptions): BrainOf {
  const { store, blobs, links } = options
  const media = createMediaReader({ store, blobs })
  const brains = new Map<number, Brain>()

  return (accountId) => {
    const known = brains.get(accountId)
    if (known) return known
    const brain = {
      teller: createTeller({ accountId, store, media, linkOf: links.absoluteLinkOf }),
      hearer: createHearer({ ...options, accountId })
    }
    brains.set(accountId, brain)
    return brain
  }
}
