import { ActionError } from './errors.ts'
import type { Account, Friend, NewAccount, Store } from './store.ts'

/** Hashing lives outside of the core, since it needs native code. */
export interface PasswordHasher {
  readonly hash: (password: string) => Promise<string>
  readonly verify: (hash: string, password: string) => Promise<boolean>
  /** A hash that costs as much to check as any other, of a password that nobody has. */
  readonly decoy: string
}

export interface Login {
  readonly username?: string | undefined
  readonly phone?: string | undefined
  readonly password: string
}

export interface PasswordChange {
  readonly accountId: number
  readonly oldPassword: string
  readonly newPassword: string
  /** The session that goes on. */
  readonly keptSessionId: string | undefined
}

/** Accounts, their secrets and their friends. Every method throws `ActionError` to refuse. */
export interface Accounts {
  readonly add: (
    account: Omit<NewAccount, 'passwordHash' | 'invite' | 'createdAt'> & {
      readonly password?: string | undefined
      /** The code of the invitation that pays for the account. */
      readonly invite?: string | undefined
    }
  ) => Promise<Account>
  /** The first admin, for who has the set-up code; undefined when the code does not count, or not any more. */
  readonly setUp: (order: {
    readonly code: string
    readonly username: string
    readonly nickname: string
    readonly password: string
  }) => Promise<Account | undefined>
  /** Lets whoever has the code make one account within so many seconds; gives when that ends. Only its digest is kept. */
  readonly invite: (code: string, lifeS: number) => Promise<number>
  /** Not found and switched off are the same to whoever asks. */
  readonly get: (id: number) => Promise<Account>
  /** Undefined when the name is unknown or the password is wrong; takes as long in both cases. */
  readonly signIn: (login: Login) => Promise<Account | undefined>
  /** Ends the account's sessions and gives their ids. */
  readonly setPassword: (id: number, password: string) => Promise<string[]>
  /**
   * For who knows the old one. Ends the account's other sessions and gives their ids; undefined when the old password is
   * wrong or there is none.
   */
  readonly changePassword: (order: PasswordChange) => Promise<string[] | undefined>
  /** Makes this the account's only access token. Only its SHA-256 digest is kept. */
  readonly setToken: (id: number, token: string) => Promise<void>
  readonly remove: (id: number) => Promise<void>
  readonly befriend: (a: number, b: number) => Promise<void>
  readonly getFriend: (accountId: number, friendId: number) => Promise<Friend>
}

export interface AccountsOptions {
  readonly store: Store
  /** Unix seconds. */
  readonly now: () => number
  readonly passwords: PasswordHasher
  /** SHA-256 of a token's UTF-8 bytes. */
  readonly digest: (token: string) => Uint8Array
  /** Called when a token was replaced here: what came in with the one before may not stay. */
  readonly onTokenChange?: () => void
}

export const MIN_PASSWORD_LENGTH = 6

export function createAccounts({ store, now, passwords, digest, onTokenChange }: AccountsOptions): Accounts {
  async function hashOf(password: string): Promise<string> {
    if (password.length < MIN_PASSWORD_LENGTH) {
      throw new ActionError('invalid', `a password has at least ${MIN_PASSWORD_LENGTH} characters`, {
        field: 'password'
      })
    }
    return passwords.hash(password)
  }

  async function get(id: number): Promise<Account> {
    const account = await store.findAccount(id)
    if (!account || account.isDisabled) throw new ActionError('not_found', `account ${id} does not exist`)
    return account
  }

  return {
    get,

    async add({ password, invite, ...account }) {
      const passwordHash = password === undefined ? undefined : await hashOf(password)
      return store.addAccount({
        ...account,
        passwordHash,
        invite: invite === undefined ? undefined : digest(invite),
        createdAt: now()
      })
    },

    async setUp({ code, password, ...names }) {
      const passwordHash = await hashOf(password)
      return store.spendSetupCode(digest(code), { ...names, kind: 'person', passwordHash, createdAt: now() })
    },

    async invite(code, lifeS) {
      const createdAt = now()
      const expiresAt = createdAt + lifeS
      await store.addInvite({ digest: digest(code), createdAt, expiresAt })
      return expiresAt
    },

    async signIn({ username, phone, password }) {
      const found = await store.findAccountByLogin({ username, phone })
      // Checked when the name is unknown too, so that the time of the answer does not tell which names exist.
      const isRight = await passwords.verify(found?.passwordHash ?? passwords.decoy, password)
      return found?.passwordHash && isRight && !found.isDisabled ? found : undefined
    },

    async setPassword(id, password) {
      return store.setPassword(id, await hashOf(password))
    },

    async changePassword({ accountId, oldPassword, newPassword, keptSessionId }) {
      const hash = await store.findPasswordHash(accountId)
      const isRight = await passwords.verify(hash ?? passwords.decoy, oldPassword)
      if (!hash || !isRight) return undefined
      return store.setPassword(accountId, await hashOf(newPassword), keptSessionId)
    },

    async setToken(id, token) {
      await store.replaceToken(id, digest(token), now())
      onTokenChange?.()
    },
    remove: (id) => store.disableAccount(id, now()),

    async befriend(a, b) {
      if (a === b) throw new ActionError('invalid', `account ${a} cannot be its own friend`)
      await Promise.all([get(a), get(b)])
      await store.addFriendship(a, b, now())
    },

    async getFriend(accountId, friendId) {
      const friend = await store.findFriend(accountId, friendId)
      if (!friend) throw new ActionError('not_found', `there is no friend ${friendId}`)
      return friend
    }
  }
}
