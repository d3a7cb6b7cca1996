import type { Test } from 'tap'
import { ONCE_S } from '../../src/core/audit-store.ts'
import type { Store } from '../../src/core/store.ts'
import { refusal } from './store.ts'

const NOW = 1_700_000_000

/** What every driver must do for operators. */
export function auditStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  const entry = (action: string) => ({
    time: NOW,
    operator: 'command line',
    action,
    subject: '10001',
    details: { reason: 'a test' },
    ip: ''
  })

  t.test('the audit gives the newest first, in pages, and keeps so many', async (t) => {
    const store = await open(t)
    for (const action of ['a', 'b', 'c', 'd', 'e']) await store.addAudit(entry(action), 4)
    const first = await store.listAudit({ limit: 2 })
    t.match(first, [entry('e'), entry('d')])
    const rest = await store.listAudit({ limit: 10, beforeId: first[1]?.id })
    t.strictSame(
      rest.map(({ action }) => action),
      ['c', 'b']
    )
  })

  t.test('tokens are found by their digests, keys by their ids, until they are removed', async (t) => {
    const store = await open(t)
    const [digest, sealedKey] = [Buffer.alloc(32, 1), Buffer.alloc(40, 2)]
    const token = await store.addOperatorToken({ kind: 'token', name: 'deploy', digest, createdAt: NOW })
    const key = await store.addOperatorToken({ kind: 'key', name: 'cron', sealedKey, createdAt: NOW })
    t.strictSame(await store.findOperatorToken(digest), token)
    t.strictSame(await store.listOperatorTokens(), [token, key])
    t.match(await store.findOperatorKey(key.id), { kind: 'key', name: 'cron' })
    t.strictSame(Buffer.from((await store.findOperatorKey(key.id))?.sealedKey ?? []), sealedKey)
    t.equal(await store.findOperatorKey(token.id), undefined, 'a token is no key')
    t.equal(await store.removeOperatorToken(token.id), true)
    t.equal(await store.removeOperatorToken(token.id), false)
    t.equal(await store.findOperatorToken(digest), undefined)
    t.ok((await store.addOperatorToken({ kind: 'token', name: 'next', digest, createdAt: NOW })).id > key.id)
  })

  t.test('a set-up code makes one admin, also when many come with it at once', async (t) => {
    const store = await open(t)
    const digest = Buffer.alloc(32, 3)
    await store.setMeta('console.setup_code', digest.toString('hex'))
    const person = (username: string) =>
      ({ kind: 'person', nickname: username, username, passwordHash: 'hash', createdAt: NOW }) as const
    t.equal(await store.spendSetupCode(Buffer.alloc(32, 4), person('eve')), undefined, 'a wrong code')
    await store.addAccount(person('taken'))
    t.equal(await refusal(store.spendSetupCode(digest, person('taken'))), 'conflict')
    const made = await Promise.all(['a', 'b', 'c'].map((name) => store.spendSetupCode(digest, person(name))))
    const [admin] = made.filter((account) => account !== undefined)
    t.equal(made.filter((account) => account !== undefined).length, 1)
    t.match(admin, { isAdmin: true })
    t.equal(await store.isAdmin(admin?.id ?? 0), true)
    t.equal((await store.listAccounts('person')).length, 2)
    await store.disableAccount(admin?.id ?? 0, NOW)
    t.equal(await store.isAdmin(admin?.id ?? 0), false, 'who is switched off is none')
  })

  t.test('a call begins once under its key, until it is forgotten or a day has passed', async (t) => {
    const store = await open(t)
    const call = { operator: 'user 10011', key: 'k' }
    const claim = { ...call, digest: Buffer.alloc(32, 5), time: NOW }
    const begun = await Promise.all([store.beginOnce(claim), store.beginOnce(claim)])
    t.equal(begun.filter((kept) => kept === undefined).length, 1)
    t.equal(begun.find((kept) => kept !== undefined)?.answer, undefined)
    t.equal(await store.beginOnce({ ...claim, operator: 'token 1' }), undefined, 'others have keys of their own')
    await store.endOnce(call, Buffer.from('answer'))
    const kept = await store.beginOnce(claim)
    t.equal(Buffer.from(kept?.answer ?? []).toString(), 'answer')
    t.strictSame(Buffer.from(kept?.digest ?? []), claim.digest)
    await store.forgetOnce(call)
    t.equal(await store.beginOnce(claim), undefined)
    t.equal(await store.beginOnce({ ...claim, time: NOW + ONCE_S + 1 }), undefined)
  })

  t.test('sessions are counted until they expire', async (t) => {
    const store = await open(t)
    const { id } = await store.addAccount({ kind: 'person', nickname: 'Alice', createdAt: NOW })
    await store.addSession({ id: 's', accountId: id, refreshId: 'r', createdAt: NOW, expiresAt: NOW + 10 })
    t.strictSame([await store.countSessions(NOW), await store.countSessions(NOW + 10)], [1, 0])
  })
}
