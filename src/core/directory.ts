import { ActionError } from './errors.ts'
import type { Links } from './links.ts'
import type { Profile } from './people-store.ts'
import type { Presence } from './presence.ts'
import type { Account, Store } from './store.ts'

/** One of them says whom to look for. */
export interface AccountQuery {
  /** Exactly this one. */
  readonly phone?: string | undefined
  /** Exactly this one. */
  readonly username?: string | undefined
  /** Anywhere in the username or the nickname; never in the phone number. */
  readonly keyword?: string | undefined
}

/** An account as somebody else sees it now. */
export interface ShownAccount {
  readonly account: Account
  readonly isOnline: boolean
  /** Unix seconds. */
  readonly lastSeenAt: number
}

/** Finding accounts, people and bots alike. Every method throws `ActionError` to refuse. */
export interface Directory {
  /** Not found and switched off are the same to whoever asks. */
  readonly get: (id: number) => Promise<Account>
  /** By exactly this phone number or username. */
  readonly find: (query: Pick<AccountQuery, 'phone' | 'username'>) => Promise<Account>
  /** Nobody found is an empty list. */
  readonly search: (query: AccountQuery, limit: number) => Promise<Account[]>
  /** Who may not know whether somebody is there sees them as if they never were (IM-Suite 2.7). */
  readonly surround: (viewerId: number, accounts: readonly Account[]) => Promise<ShownAccount[]>
  /** What others see from now on. A picture of one's own that is not shown any more goes. */
  readonly update: (id: number, profile: Profile) => Promise<void>
}

export interface DirectoryOptions {
  readonly store: Store
  readonly presence: Pick<Presence, 'look'>
  readonly links: Pick<Links, 'findFileId'>
  /** Unix seconds. */
  readonly now: () => number
}

export function createDirectory({ store, presence, links, now }: DirectoryOptions): Directory {
  async function lookUp({ phone, username }: AccountQuery): Promise<Account | undefined> {
    const found = await store.findAccountByLogin(phone === undefined ? { username } : { phone })
    // Once more by its id: what is kept for signing in goes no further.
    const account = found && (await store.findAccount(found.id))
    if (!account || account.isDisabled) return undefined
    // Who gives both means one account.
    return phone !== undefined && username !== undefined && account.username !== username ? undefined : account
  }

  return {
    async get(id) {
      const account = await store.findAccount(id)
      if (!account || account.isDisabled) throw new ActionError('not_found', `account ${id} does not exist`)
      return account
    },

    async find(query) {
      const account = await lookUp(query)
      if (!account) throw new ActionError('not_found', 'there is no such account')
      return account
    },

    async search(query, limit) {
      const { phone, username, keyword } = query
      if (phone === undefined && username === undefined && keyword === undefined)
        throw new ActionError('invalid', 'keyword: expected phone, username or keyword', { field: 'keyword' })
      if (phone === undefined && username === undefined) return store.searchAccounts(keyword ?? '', limit)
      const account = await lookUp(query)
      return account ? [account] : []
    },

    async surround(viewerId, accounts) {
      const ids = accounts.map(({ id }) => id)
      const seen = new Map((await presence.look(viewerId, ids)).map((one) => [one.accountId, one]))
      return accounts.map((account) => {
        const own = account.id === viewerId ? { isOnline: true, lastSeenAt: now() } : undefined
        const { isOnline, lastSeenAt } = own ??
          seen.get(account.id) ?? { isOnline: false, lastSeenAt: account.createdAt }
        return { account, isOnline, lastSeenAt }
      })
    },

    async update(id, profile) {
      if (Object.values(profile).every((value) => value === undefined)) return
      await store.updateProfile(id, profile, now(), links.findFileId)
    }
  }
}
