import { MessageBase, type Seg } from '../../sdk/src/message.ts'
import type { GatewayEvent } from '../core/event.ts'
import type { LinkOf } from '../core/links.ts'
import type { ForwardedMessage, MediaSegment, Segment } from '../core/segment.ts'
import type { Store } from '../core/store.ts'
import {
  assemble,
  planTelling,
  toLinkSeg,
  toWholeSeg,
  type Known,
  type NoticeForm,
  type Person,
  type Telling
} from '../protocols/maim-telling.ts'
import { FORWARD_DEPTH, FORWARD_LINES, goneWord, sortOf } from '../protocols/maim-words.ts'
import { base64Length, type Media, type MediaReader } from './maim-media.ts'

export interface TellOptions {
  /** What the road to the brain is called: `message_info.platform` and every `platform` in it. */
  readonly platform: string
  /** Bytes that the JSON of the message may have. */
  readonly maxBytes: number
  /** `notify` when absent. */
  readonly notices?: NoticeForm
}

/** Tells a brain what its bot hears in chats (contract 5.1–5.3). */
export interface Teller {
  /**
   * The event as a message of the legacy protocol; undefined for what brains have no word for, and for what the bot says
   * itself. Media that do not fit into `maxBytes` are told by a link. Rejects when the bytes of media cannot be read.
   */
  readonly tell: (event: GatewayEvent, options: TellOptions) => Promise<MessageBase | undefined>
}

export interface TellerOptions {
  /** The bot whose ears these are. */
  readonly accountId: number
  readonly store: Pick<Store, 'findAccount' | 'findMember' | 'findForward'>
  /** One for all tellers: brains of several bots hear the same pictures. */
  readonly media: MediaReader
  /** Addresses of files with scheme and host. */
  readonly linkOf: LinkOf
  /** Unix seconds, with fractions. */
  readonly now?: () => number
}

/**
 * Seconds for which a message counts as said just now. Cores look for what is newer than their last look, by the fraction
 * of a second; what is told by the full second in which it was said, or a moment late, would never be seen. So adapters
 * tell the time of telling, and so do we, until a message is so old that its own time says more.
 */
const FRESH_S = 300

/** Films and documents go with their bytes up to here: brains keep them in memory and show name and address anyway. */
const MAX_WHOLE_FILE = 4 * 1024 * 1024

/** One piece of media and the ways to tell it. */
interface Offer {
  readonly media: MediaSegment
  readonly link: string
  /** Absent when it can only be told by a link. */
  readonly bytes?: Media
  /** There was a file, and it is gone. */
  readonly isGone?: boolean
}

export function createTeller(options: TellerOptions): Teller {
  const { accountId, store, media, linkOf, now = () => Date.now() / 1000 } = options

  async function findPerson(id: number, groupId: number | undefined): Promise<Person> {
    const member = groupId === undefined ? undefined : await store.findMember(groupId, id)
    const nickname = member?.nickname ?? (await store.findAccount(id))?.nickname ?? ''
    return { id, nickname, card: member?.card }
  }

  async function findPeople(ids: readonly number[], groupId: number | undefined): Promise<Map<number, Person>> {
    const people = await Promise.all([...new Set(ids)].map((id) => findPerson(id, groupId)))
    return new Map(people.map((person) => [person.id, person]))
  }

  /** What these pass on, and what is passed on in that, no further than it is told. */
  async function findForwards(segments: readonly Segment[]): Promise<Map<number, readonly ForwardedMessage[]>> {
    const found = new Map<number, readonly ForwardedMessage[]>()
    let level = segments
    for (let depth = 0; depth <= FORWARD_DEPTH; depth++) {
      const inner: Segment[] = []
      for (const segment of level) {
        if (segment.type !== 'forward' || found.has(segment.forwardId) || found.size >= FORWARD_LINES) continue
        const messages = await store.findForward(segment.forwardId, accountId)
        if (!messages) continue
        found.set(segment.forwardId, messages)
        inner.push(...messages.slice(0, FORWARD_LINES).flatMap((message) => message.segments))
      }
      level = inner
    }
    return found
  }

  async function toOffer(segment: MediaSegment): Promise<Offer> {
    const { file } = segment
    const link = linkOf(file)
    if (file.fileId === undefined) return { media: segment, link }
    const bytes = await media.find(file.fileId)
    if (!bytes || bytes.size === 0) return { media: segment, link, isGone: true }
    const sort = sortOf(segment)
    const goesByLink = (sort === 'file' || sort === 'video') && bytes.size > MAX_WHOLE_FILE
    return { media: segment, link, ...(!goesByLink && { bytes }) }
  }

  return {
    async tell(event, { platform, maxBytes, notices = 'notify' }) {
      const plan = planTelling(event, accountId)
      if (!plan) return undefined
      const groupId = event.chat.kind === 'group' ? event.chat.id : undefined
      const [people, forwards] = await Promise.all([findPeople(plan.accountIds, groupId), findForwards(plan.segments)])
      const known: Known = {
        platform,
        notices,
        personOf: (id) => people.get(id) ?? { id, nickname: '' },
        findForward: (id) => forwards.get(id)
      }
      const telling = withTime(plan.compose(known), now())
      const pieces = telling.parts.flatMap((part) => (part.type === 'media' ? [part.media] : []))
      const offers = await Promise.all(pieces.map(toOffer))
      return fit(telling, offers, { platform, maxBytes })
    }
  }
}

function withTime(telling: Telling, now: number): Telling {
  const age = now - telling.time
  return age >= -1 && age < FRESH_S ? { ...telling, time: Math.max(now, telling.time) } : telling
}

async function fit(
  telling: Telling,
  offers: readonly Offer[],
  { platform, maxBytes }: TellOptions
): Promise<MessageBase> {
  const whole = chooseWhole(offers, (chosen) => {
    const hollow = offers.map((offer, index) =>
      chosen.has(index) ? toWholeSeg(offer.media, '', offer.link) : toLean(offer)
    )
    const bytes = [...chosen].reduce((sum, index) => sum + base64Length(offers[index]?.bytes?.size ?? 0), 0)
    return bytes <= maxBytes && bytes + measure(assemble(telling, { platform, media: hollow })) <= maxBytes
  })
  const segs: Seg[] = []
  // One after the other: a message of many pictures holds few of them twice at a time.
  for (const [index, offer] of offers.entries()) {
    const base64 = whole.has(index) ? await offer.bytes?.read() : undefined
    if (base64 !== undefined) segs.push(toWholeSeg(offer.media, base64, offer.link))
    else segs.push(toLean(whole.has(index) ? { ...offer, isGone: true } : offer))
  }
  // A message whose bytes all came is as long as was reckoned; a word may be longer than the small picture it stands for.
  const isReckoned = whole.size > 0 && segs.every((seg, index) => !whole.has(index) || seg.type !== 'text')
  const message = assemble(telling, { platform, media: segs })
  if (isReckoned || measure(message) <= maxBytes) return message
  return cut(telling, { platform, maxBytes, media: offers.map(toLean) })
}

/** How media are told without their bytes. */
function toLean(offer: Offer): Seg {
  if (offer.isGone) return { type: 'text', data: goneWord(offer.media) }
  return toLinkSeg(offer.media, offer.link)
}

/** Which offers go with their bytes: all, or as many of the smallest as fit. */
function chooseWhole(offers: readonly Offer[], fits: (chosen: ReadonlySet<number>) => boolean): ReadonlySet<number> {
  const sizes = offers.map(({ bytes }) => bytes?.size ?? 0)
  const bySize = [...offers.keys()]
    .filter((index) => offers[index]?.bytes)
    .toSorted((a, b) => (sizes[a] ?? 0) - (sizes[b] ?? 0))
  if (bySize.length === 0) return new Set()
  const count = largest(bySize.length, (size) => fits(new Set(bySize.slice(0, size))))
  return new Set(bySize.slice(0, count ?? 0))
}

/** The message with as much of what it says as fits. */
function cut(
  telling: Telling,
  { platform, maxBytes, media }: TellOptions & { readonly media: readonly Seg[] }
): MessageBase {
  const cutTo = (limit: number): MessageBase => assemble(telling, { platform, media, limit })
  // Every code unit takes a byte at least.
  const limit = largest(maxBytes, (size) => measure(cutTo(size)) <= maxBytes)
  if (limit === undefined) {
    const least = measure(cutTo(0))
    throw new RangeError(`maxBytes: expected at least ${least} for message ${telling.messageId}, got ${maxBytes}`)
  }
  return cutTo(limit)
}

/** The largest of 0 … `max` that fits, where all below one that fits do too; undefined when none does. */
function largest(max: number, fits: (size: number) => boolean): number | undefined {
  if (fits(max)) return max
  let [low, high] = [-1, max]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (fits(middle)) low = middle
    else high = middle
  }
  return low < 0 ? undefined : low
}

const measure = (message: MessageBase): number => Buffer.byteLength(JSON.stringify(MessageBase.toObject(message)))
