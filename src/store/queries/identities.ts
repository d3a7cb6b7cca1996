import type { DatabaseSync } from 'node:sqlite'
import type { Account, Identity } from '../../core/store.ts'
import type { AccountQueries } from './accounts.ts'

/** Who accounts are to foreign issuers of tokens. Every function is synchronous; the caller owns the transaction. */
export function identityQueries(db: DatabaseSync, accounts: AccountQueries) {
  const byName = db.prepare('select account_id from identities where issuer = ? and subject = ?')
  const insert = db.prepare('insert into identities(issuer, subject, account_id) values (?, ?, ?)')

  function find({ issuer, subject }: Pick<Identity, 'issuer' | 'subject'>): Account | undefined {
    const row = byName.get(issuer, subject) as { account_id: number } | undefined
    return row && accounts.find(row.account_id)
  }

  return {
    find,

    findOrAdd(identity: Identity): Account {
      const { issuer, subject, nickname, time } = identity
      const existing = find(identity)
      if (existing) return existing
      const account = accounts.add({ kind: 'person', nickname, createdAt: time })
      insert.run(issuer, subject, account.id)
      return account
    }
  }
}
