import type { Clock } from './clock.ts'
import { ActionError } from './errors.ts'
import type { Signal, SignalData } from './signal.ts'
import type { Account, Store } from './store.ts'

export type NoticeKind = SignalData['notice.sent']['kind']

/** Something that the operator's people tell people (IM-Suite 2.4 `notification`). */
export interface Notice {
  /** Grows with each notice. */
  readonly id: number
  /** Accounts that it is for; null is everybody. */
  readonly audience: readonly number[] | null
  readonly title: string
  readonly message: string
  readonly kind: NoticeKind
  /** Where to read on; empty for nowhere. */
  readonly actionUrl: string
  /** Unix seconds. */
  readonly createdAt: number
}

export type NoticeDraft = Omit<Notice, 'id' | 'createdAt'>

export interface NoticePage {
  readonly accountId: number
  /** The oldest first after this one; the newest first when absent. */
  readonly afterId?: number | undefined
  /** Only what was told from this moment on, in Unix seconds. */
  readonly since: number
  readonly limit: number
}

/** How the core keeps notices; see `Store` for the manners of its methods. */
export interface NoticeStore {
  /** Removes what is older than `keepFrom` at the same time. */
  readonly addNotice: (notice: Omit<Notice, 'id'>, keepFrom: number) => Promise<Notice>
  /** What was for the account, or for everybody since the account was made. */
  readonly listNotices: (page: NoticePage) => Promise<Notice[]>
  /** Everybody's, after this one, the oldest first. */
  readonly readNotices: (afterId: number, limit: number) => Promise<Notice[]>
  readonly lastNoticeId: () => Promise<number>
}

export interface Notices {
  /** Keeps it and tells who is there. Throws `invalid`. */
  readonly send: (draft: NoticeDraft) => Promise<Notice>
  /** Those of the last 30 days. */
  readonly list: (page: Omit<NoticePage, 'since'>) => Promise<Notice[]>
  /** Tells what was kept together with something else. */
  readonly look: () => Promise<void>
  readonly close: () => void
}

export interface NoticesOptions {
  readonly store: NoticeStore & Pick<Store, 'onForeignChange'>
  readonly clock: Pick<Clock, 'now'>
  readonly tell: (signal: Signal) => void
  readonly onError: (err: unknown) => void
  /** The last notice that is not told any more. */
  readonly position: number
}

const LIFE_S = 30 * 86_400
const MAX_TITLE = 200
const MAX_MESSAGE = 4000
const MAX_URL = 2048
/** Accounts that one notice may name; beyond, it is for everybody. */
export const MAX_RECIPIENTS = 1000
/** Notices that are read at once to be told. */
const CHUNK = 100

export function createNotices({ store, clock, tell, onError, position }: NoticesOptions): Notices {
  let last = position
  let telling: Promise<void> | undefined
  let isStale = false

  /** Tells what is newer than the last that was told, whoever has added it: in order, and none twice. */
  async function tellNew(): Promise<void> {
    try {
      while (isStale) {
        isStale = false
        for (const { id, audience, createdAt, ...words } of await store.readNotices(last, CHUNK)) {
          last = id
          isStale = true
          const { title, message, kind, actionUrl } = words
          tell({
            kind: 'notice.sent',
            time: createdAt,
            audience,
            data: { noticeId: id, title, message, kind, actionUrl }
          })
        }
      }
    } catch (err) {
      onError(err)
    } finally {
      telling = undefined
    }
  }

  /** What comes while it is told is told in the same go. */
  function look(): Promise<void> {
    isStale = true
    telling ??= tellNew()
    return telling
  }

  const unsubscribe = store.onForeignChange(() => void look())

  return {
    async send(draft) {
      const notice = await writeNotice(store, draft, clock.now())
      await look()
      return notice
    },
    list: (page) => store.listNotices({ ...page, since: clock.now() - LIFE_S }),
    look,
    close: unsubscribe
  }
}

/** Keeps it; a gateway that works on the same database tells it. `now` in Unix seconds. Throws `invalid`. */
export async function writeNotice(store: NoticeStore, draft: NoticeDraft, now: number): Promise<Notice> {
  const { notice, keepFrom } = toNotice(draft, now)
  return store.addNotice(notice, keepFrom)
}

/** What `addNotice` takes. `now` in Unix seconds. Throws `invalid`. */
export function toNotice(draft: NoticeDraft, now: number): { notice: Omit<Notice, 'id'>; keepFrom: number } {
  const title = draft.title.trim()
  const message = draft.message.trim()
  const actionUrl = draft.actionUrl.trim()
  mustFit('title', title, MAX_TITLE)
  mustFit('message', message, MAX_MESSAGE)
  // Clients put it behind a button: an address that is a program would run there.
  if (actionUrl !== '' && !/^(?:https?:\/\/|\/(?!\/))/i.test(actionUrl))
    throw new ActionError('invalid', 'action_url: expected an http or https address, or a path that begins with /', {
      field: 'action_url'
    })
  if (actionUrl.length > MAX_URL)
    throw new ActionError('invalid', `action_url: expected at most ${MAX_URL} characters`, { field: 'action_url' })
  return { notice: { ...draft, title, message, actionUrl, createdAt: now }, keepFrom: now - LIFE_S }
}

function mustFit(field: string, text: string, max: number): void {
  if (text !== '' && [...text].length <= max) return
  throw new ActionError('invalid', `${field}: expected 1 to ${max} characters`, { field })
}

/** The accounts of people, by id or username, each once. Throws `invalid` and names all that there are not. */
export async function findRecipients(
  store: Pick<Store, 'findAccount' | 'findAccountByLogin'>,
  names: readonly (number | string)[]
): Promise<number[]> {
  if (names.length === 0 || names.length > MAX_RECIPIENTS)
    throw new ActionError('invalid', `to: expected 1 to ${MAX_RECIPIENTS} accounts, or nothing for everybody`, {
      field: 'to'
    })
  const found = await Promise.all(names.map((name) => findPerson(store, name)))
  const unknown = names.filter((_, index) => !found[index])
  if (unknown.length > 0)
    throw new ActionError('invalid', `to: there is no person ${unknown.join(', ')}`, { field: 'to' })
  return [...new Set(found.flatMap((account) => account?.id ?? []))]
}

async function findPerson(
  store: Pick<Store, 'findAccount' | 'findAccountByLogin'>,
  name: number | string
): Promise<Account | undefined> {
  const id = Number(name)
  const account =
    name !== '' && Number.isSafeInteger(id)
      ? await store.findAccount(id)
      : await store.findAccountByLogin({ username: String(name) })
  return account?.kind === 'person' && !account.isDisabled ? account : undefined
}
