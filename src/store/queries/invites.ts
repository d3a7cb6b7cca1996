import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import type { Account, Invite } from '../../core/store.ts'

/** Invitations, of which only digests are kept. Every function is synchronous; the caller owns the transaction. */
export function inviteQueries(db: DatabaseSync) {
  const insert = db.prepare('insert into invites(digest, created_at, expires_at) values (?, ?, ?)')
  const deleteStale = db.prepare('delete from invites where expires_at <= ?')
  const usable = db.prepare('select 1 from invites where digest = ? and used_by is null and expires_at > ?')
  const use = db.prepare('update invites set used_by = ? where digest = ?')

  return {
    add({ digest, createdAt, expiresAt }: Invite): void {
      // Making one is the moment to clear what has expired: no timer, and no table without an end.
      deleteStale.run(createdAt)
      insert.run(digest, createdAt, expiresAt)
    },

    /** Makes the account that the invitation is for, and uses it up. */
    spend(digest: Uint8Array, time: number, make: () => Account): Account {
      if (!usable.get(digest, time)) {
        // Why is not said: who guesses learns nothing.
        throw new ActionError('forbidden', 'invite: the invitation is unknown, was used before, or has expired', {
          field: 'invite'
        })
      }
      const account = make()
      use.run(account.id, digest)
      return account
    }
  }
}
