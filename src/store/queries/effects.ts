import type { DatabaseSync } from 'node:sqlite'
import type { Effect, KeyedCall } from '../../core/effect-store.ts'

/** What keyed calls have done. Every function is synchronous; the caller owns the transaction. */
export function effectQueries(db: DatabaseSync) {
  const select = db.prepare(
    'select action, digest, outcome from effects where account_id = ? and key = ? and created_at >= ?'
  )
  // In place of one that has expired and is still there; `find` has seen that there is no other.
  const insert = db.prepare(`
    insert or replace into effects(account_id, key, action, digest, outcome, created_at) values (?, ?, ?, ?, ?, ?)`)
  const removeOld = db.prepare(`
    delete from effects where (account_id, key) in (
      select account_id, key from effects where created_at < ? order by created_at limit ? + 0)`)

  return {
    find(accountId: number, key: string, validFrom: number): Effect | undefined {
      const row = select.get(accountId, key, validFrom)
      if (!row) return undefined
      return {
        action: row.action as string,
        digest: row.digest as Uint8Array,
        answer: JSON.parse(row.outcome as string) as object
      }
    },

    add({ accountId, key, action, digest, time, answerOf }: KeyedCall, effect: unknown): void {
      insert.run(accountId, key, action, digest, JSON.stringify(answerOf(effect)), time)
    },

    forget: (time: number, limit: number): number => Number(removeOld.run(time, limit).changes)
  }
}
