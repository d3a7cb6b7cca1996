import { checkMaySpeak, type Chats } from './chats.ts'
import { ActionError } from './errors.ts'
import type { ReactionName, ReactionSummary, ReactionType } from './note-store.ts'
import type { Store } from './store.ts'

/** Reactions to messages. Every method throws `ActionError` to refuse; changing nothing is a success without an event. */
export interface Reactions {
  /** By whoever may speak there now; up to 20 different ones of a message. */
  readonly add: (accountId: number, chatId: number, seq: number, name: ReactionName) => Promise<void>
  /** One's own, also by who may not speak. */
  readonly remove: (accountId: number, chatId: number, seq: number, name: ReactionName) => Promise<void>
  /** For members of the chat; `not_found` otherwise, also when the message was recalled. */
  readonly list: (accountId: number, messageId: number) => Promise<ReactionSummary[]>
}

/** Different ones of one message. */
const MAX_REACTIONS = 20
/** Accounts that are named beside a reaction. */
const MAX_NAMED = 50

export function createReactions(store: Store, chats: Pick<Chats, 'getMessageById'>, now: () => number): Reactions {
  return {
    add(accountId, chatId, seq, name) {
      const time = now()
      return store.changeReaction({
        ...name,
        chatId,
        seq,
        accountId,
        isAdd: true,
        time,
        decide(state) {
          checkMaySpeak(state.speaker, time)
          if (state.isThere) return false
          if (!state.isKnown && state.count >= MAX_REACTIONS)
            throw new ActionError('too_large', `a message has at most ${MAX_REACTIONS} different reactions`)
          return true
        }
      })
    },

    remove: (accountId, chatId, seq, name) =>
      store.changeReaction({
        ...name,
        chatId,
        seq,
        accountId,
        isAdd: false,
        time: now(),
        decide: ({ isThere }) => isThere
      }),

    async list(accountId, messageId) {
      await chats.getMessageById(accountId, messageId)
      return store.listReactions(messageId, accountId, MAX_NAMED)
    }
  }
}

const FACE = /^[\w-]{1,32}$/
const CODE_POINT = /^[1-9]\d{0,6}$/
/** Digits, flags and skin tones are no pictures of their own: their first code point alone would be something else. */
const EMOJI = /^\p{Extended_Pictographic}$/u
/** UTF-16 units; families with skin tones have 20. */
const MAX_EMOJI = 32

/** The reaction that somebody names: a face by its id, an emoji by its decimal code point or by itself. Throws `invalid`. */
export function toReactionName(type: ReactionType, given: string): ReactionName {
  const reaction = type === 'face' ? toFace(given) : toCodePoint(given)
  if (reaction !== undefined) return { type, reaction }
  const expected =
    type === 'face' ? 'the id of a face (1 to 32 letters, digits, _ or -)' : 'an emoji, or its decimal code point'
  throw new ActionError('invalid', `reaction: expected ${expected}`, { field: 'reaction' })
}

function toFace(given: string): string | undefined {
  return FACE.test(given) ? given : undefined
}

/** Of an emoji that is made of several, such as a hand of some colour, the first. */
function toCodePoint(given: string): string | undefined {
  const code = CODE_POINT.test(given) ? Number(given) : firstOf(given)
  if (code === undefined || code > 0x10ffff || !EMOJI.test(String.fromCodePoint(code))) return undefined
  return String(code)
}

function firstOf(given: string): number | undefined {
  if (given.length > MAX_EMOJI || [...new Intl.Segmenter().segment(given)].length !== 1) return undefined
  return given.codePointAt(0)
}
