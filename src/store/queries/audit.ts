import type { DatabaseSync } from 'node:sqlite'
import {
  ONCE_S,
  type AuditEntry,
  type KeptCall,
  type NewOperatorToken,
  type OnceClaim,
  type OnceRef,
  type OperatorToken
} from '../../core/audit-store.ts'
import type { Account, NewAccount } from '../../core/store.ts'
import type { AccountQueries } from './accounts.ts'

/** Where the digest of the set-up code is kept, in hexadecimal. */
const SETUP_CODE = 'console.setup_code'

/** What operators did and how they come. Every function is synchronous; the caller owns the transaction. */
export function auditQueries(db: DatabaseSync, accounts: AccountQueries) {
  const insert = db.prepare(
    'insert into audit(time, operator, action, subject, details, ip) values (?, ?, ?, ?, ?, ?) returning id'
  )
  const deleteOld = db.prepare('delete from audit where id <= ?')
  const newest = db.prepare('select * from audit where id < ? order by id desc limit ? + 0')
  const insertToken = db.prepare(
    'insert into operator_tokens(name, digest, sealed_key, created_at) values (?, ?, ?, ?) returning *'
  )
  const tokenByDigest = db.prepare('select * from operator_tokens where digest = ?')
  const keyById = db.prepare('select * from operator_tokens where id = ? and sealed_key is not null')
  const tokens = db.prepare('select * from operator_tokens order by id')
  const deleteToken = db.prepare('delete from operator_tokens where id = ?')
  // Not from what is remembered of accounts: the command line may have changed it a moment ago.
  const admin = db.prepare('select 1 from accounts where id = ? and is_admin = 1 and disabled_at is null')
  const voidCode = db.prepare('delete from meta where key = ? and value = ?')
  const forgetOld = db.prepare('delete from operator_calls where created_at < ?')
  const begin = db.prepare(
    'insert into operator_calls(operator, key, digest, created_at) values (?, ?, ?, ?) on conflict do nothing'
  )
  const call = db.prepare('select digest, answer from operator_calls where operator = ? and key = ?')
  const end = db.prepare('update operator_calls set answer = ? where operator = ? and key = ?')
  const forget = db.prepare('delete from operator_calls where operator = ? and key = ?')
  const sessions = db.prepare('select count(*) as count from sessions where expires_at > ?')

  return {
    add({ time, operator, action, subject, details, ip }: Omit<AuditEntry, 'id'>, keep?: number): void {
      const { id } = insert.get(time, operator, action, subject, JSON.stringify(details), ip) as { id: number }
      if (keep !== undefined) deleteOld.run(id - keep)
    },

    list: (beforeId: number | undefined, limit: number) =>
      newest.all(beforeId ?? Number.MAX_SAFE_INTEGER, limit).map(toEntry),

    addToken(token: NewOperatorToken): OperatorToken {
      const digest = token.kind === 'token' ? token.digest : null
      const sealedKey = token.kind === 'key' ? token.sealedKey : null
      return toToken(insertToken.get(token.name, digest, sealedKey, token.createdAt) as Record<string, unknown>)
    },

    findToken(digest: Uint8Array): OperatorToken | undefined {
      const row = tokenByDigest.get(digest)
      return row && toToken(row)
    },

    findKey(id: number): (OperatorToken & { sealedKey: Uint8Array }) | undefined {
      const row = keyById.get(id)
      return row && { ...toToken(row), sealedKey: row.sealed_key as Uint8Array }
    },

    listTokens: () => tokens.all().map(toToken),
    removeToken: (id: number) => deleteToken.run(id).changes === 1,
    isAdmin: (accountId: number) => admin.get(accountId) !== undefined,

    spendSetupCode(digest: Uint8Array, account: NewAccount): Account | undefined {
      if (voidCode.run(SETUP_CODE, Buffer.from(digest).toString('hex')).changes === 0) return undefined
      const { id } = accounts.add(account)
      accounts.setAdmin(id, true)
      return accounts.find(id)
    },

    beginOnce({ operator, key, digest, time }: OnceClaim): KeptCall | undefined {
      forgetOld.run(time - ONCE_S)
      if (begin.run(operator, key, digest, time).changes === 1) return undefined
      const row = call.get(operator, key) as { digest: Uint8Array; answer: Uint8Array | null }
      return { digest: row.digest, answer: row.answer ?? undefined }
    },

    endOnce({ operator, key }: OnceRef, answer: Uint8Array): void {
      end.run(answer, operator, key)
    },

    forgetOnce({ operator, key }: OnceRef): void {
      forget.run(operator, key)
    },

    countSessions: (time: number) => (sessions.get(time) as { count: number }).count
  }
}

export type AuditQueries = ReturnType<typeof auditQueries>

function toEntry(row: Record<string, unknown>): AuditEntry {
  return {
    id: row.id as number,
    time: row.time as number,
    operator: row.operator as string,
    action: row.action as string,
    subject: row.subject as string,
    details: JSON.parse(row.details as string) as Record<string, unknown>,
    ip: row.ip as string
  }
}

function toToken(row: Record<string, unknown>): OperatorToken {
  return {
    id: row.id as number,
    kind: row.digest === null ? 'key' : 'token',
    name: row.name as string,
    createdAt: row.created_at as number
  }
}
