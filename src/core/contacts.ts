import type { Directory } from './directory.ts'
import { ActionError } from './errors.ts'
import { toQuestion } from './friends.ts'
import type { Blocked, Contact, ContactChange, Window } from './people-store.ts'
import type { Account, Store } from './store.ts'

/** Whom people know, and whom they do not want to hear of. Every method throws `ActionError` to refuse. */
export interface Contacts {
  readonly list: (
    accountId: number,
    window: Window & { readonly words?: string | undefined }
  ) => Promise<{ contacts: Contact[]; total: number }>
  readonly get: (accountId: number, contactId: number) => Promise<Contact>
  /** A list is its owner's own: a person on the other side does not learn of it. A bot is asked whether it wants its new friend, too (`friend.requested`). */
  readonly add: (
    owner: Account,
    contactId: number,
    more?: { readonly remark?: string | undefined; readonly comment?: string | undefined }
  ) => Promise<{ readonly isNew: boolean }>
  readonly update: (accountId: number, contactId: number, change: ContactChange) => Promise<void>
  /** A bot loses its friend, too, or hears no more of the question. */
  readonly remove: (owner: Account, contactId: number) => Promise<void>
  /** Neither can write to the other from now on. */
  readonly block: (accountId: number, otherId: number) => Promise<void>
  readonly unblock: (accountId: number, otherId: number) => Promise<void>
  readonly listBlocked: (accountId: number, window: Window) => Promise<{ blocked: Blocked[]; total: number }>
}

export interface ContactsOptions {
  readonly store: Store
  readonly directory: Pick<Directory, 'get'>
  /** Whether the bot lets everybody in who asks. */
  readonly acceptsAtOnce: (accountId: number) => boolean
  /** Unix seconds. */
  readonly now: () => number
}

export function createContacts({ store, directory, acceptsAtOnce, now }: ContactsOptions): Contacts {
  function noContact(contactId: number): ActionError {
    return new ActionError('not_found', `account ${contactId} is not among your contacts`)
  }

  return {
    list: (accountId, window) => store.listContacts(accountId, window),

    async get(accountId, contactId) {
      const contact = await store.findContact(accountId, contactId)
      if (!contact) throw noContact(contactId)
      return contact
    },

    async add(owner, contactId, { remark, comment = '' } = {}) {
      if (owner.id === contactId)
        throw new ActionError('invalid', 'you cannot be your own contact', { field: 'user_id' })
      // It could write to anybody then.
      if (owner.kind === 'bot') throw new ActionError('forbidden', 'a bot adds nobody: people add the bot')
      const { kind } = await directory.get(contactId)
      const question = toQuestion({ comment, via: 'contacts', isAccepted: acceptsAtOnce(contactId) })
      const request = kind === 'bot' ? question : undefined
      return { isNew: await store.addContact({ accountId: owner.id, contactId, remark, request, time: now() }) }
    },

    async update(accountId, contactId, change) {
      if (!(await store.updateContact(accountId, contactId, change))) throw noContact(contactId)
    },

    async remove(owner, contactId) {
      // What one has with a bot is of both sides.
      const isMutual = (await store.findAccount(contactId))?.kind === 'bot'
      if (!(await store.removeContact(owner.id, contactId, isMutual))) throw noContact(contactId)
    },

    async block(accountId, otherId) {
      if (accountId === otherId) throw new ActionError('invalid', 'you cannot block yourself', { field: 'id' })
      await directory.get(otherId)
      await store.addBlock(accountId, otherId, now())
    },

    unblock: (accountId, otherId) => store.removeBlock(accountId, otherId),
    listBlocked: (accountId, window) => store.listBlocks(accountId, window)
  }
}
