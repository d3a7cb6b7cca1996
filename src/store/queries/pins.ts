import type { DatabaseSync } from 'node:sqlite'
import type { Pin, PinOrder } from '../../core/friend-store.ts'
import { MAX_GROUP_ID } from '../../core/store.ts'
import type { Emit } from '../writer.ts'
import type { EventQueries } from './events.ts'

/** What each account keeps at the top of its list. Every function is synchronous; the caller owns the transaction. */
export function pinQueries(db: DatabaseSync, events: Pick<EventQueries, 'appendToInbox'>) {
  // Friends and whoever shares a private chat; groups that the account is in.
  const leadsTo = (account: string, scene: string, peer: string): string => `case ${scene}
    when 'group' then ${peer} <= ${MAX_GROUP_ID}
      and exists(select 1 from members m where m.chat_id = ${peer} and m.account_id = ${account})
    else exists(select 1 from accounts a where a.id = ${peer} and a.disabled_at is null) and (
      exists(select 1 from friendships f where f.account_id = ${account} and f.friend_id = ${peer})
      or exists(
        select 1 from chats c where c.kind = 'private' and c.low_id = min(${account}, ${peer}) and c.high_id = max(${account}, ${peer})
      )
    ) end`
  const there = db.prepare(`select ${leadsTo(':account', ':scene', ':peer')} as is_there`)
  const has = db.prepare('select 1 from pins where account_id = ? and scene = ? and peer_id = ?')
  const insert = db.prepare('insert into pins(account_id, scene, peer_id, created_at) values (?, ?, ?, ?)')
  const remove = db.prepare('delete from pins where account_id = ? and scene = ? and peer_id = ?')
  const count = db.prepare('select count(*) as count from pins where account_id = ?')
  const isLive = leadsTo('p.account_id', 'p.scene', 'p.peer_id')
  const deleteDead = db.prepare(`delete from pins as p where p.account_id = ? and not (${isLive})`)
  const list = db.prepare(
    `select p.scene, p.peer_id from pins p where p.account_id = ? and ${isLive} order by p.created_at desc, p.scene, p.peer_id`
  )

  const isThere = ({ accountId, scene, peerId }: PinOrder): boolean =>
    there.get({ account: accountId, scene, peer: peerId })?.is_there === 1
  const countOf = (accountId: number): number => (count.get(accountId) as { count: number }).count

  return {
    set(order: PinOrder, emit: Emit): void {
      const { accountId, scene, peerId, isPinned, time, check } = order
      if (isPinned) deleteDead.run(accountId)
      const wasPinned = has.get(accountId, scene, peerId) !== undefined
      if (!wasPinned) check({ isThere: isThere(order), count: countOf(accountId) })
      if (wasPinned === isPinned) return
      if (isPinned) insert.run(accountId, scene, peerId, time)
      else remove.run(accountId, scene, peerId)
      const data = { scene, peerId, isPinned }
      events.appendToInbox(time, { kind: 'pin.changed', data, audience: [accountId] }, emit)
    },

    list: (accountId: number): Pin[] =>
      list.all(accountId).map((row) => ({ scene: row.scene as Pin['scene'], peerId: row.peer_id as number }))
  }
}
