import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { GroupChange, Store } from '../../src/core/store.ts'
import { lockDirectory, openSqliteStore, type SqliteOptions } from '../../src/store/index.ts'
import { addAccounts, addGroup, awake, join, leave, listen, range, refusal, say, wordsOf } from '../suites/store.ts'

t.test('durability', async (t) => {
  t.test('every opening switches to write-ahead logging with a flush per commit', async (t) => {
    const { path, open } = place(t)
    for (const time of ['first', 'second', 'third']) {
      const { store, db } = await openWatched(t, open)
      const pragma = (name: string): unknown => Object.values(db.prepare(`pragma ${name}`).get() ?? {})[0]
      t.equal(pragma('journal_mode'), 'wal', `${time} journal_mode`)
      t.equal(pragma('synchronous'), 2, `${time} synchronous`)
      t.equal(pragma('foreign_keys'), 1, `${time} foreign_keys`)
      t.equal(pragma('wal_autocheckpoint'), 0, `${time} wal_autocheckpoint`)
      await addAccounts(store, 1)
      await store.close()
    }
    t.equal(rows(path, 'select count(*) as count from accounts')[0]?.count, 3)
  })

  t.test('every append that was answered is there after kill -9, and no seq is missing', async (t) => {
    const { path, open } = place(t)
    const store = await open()
    await addAccounts(store, 1)
    const chatIds: number[] = []
    for (let count = 0; count < 10; count++) chatIds.push((await addGroup(store, [10001])).id)
    await store.close()

    const answered = new Map<string, number>()
    for (const total of [700, 1500, 2500]) {
      const child = start(t, 'append', [path, ...chatIds.map(String)])
      const ended = once(child, 'exit')
      for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
        const [chatId, seq, id] = line.split(' ')
        // The last line may have been cut in the middle.
        if (id) answered.set(`${chatId} ${seq}`, Number(id))
        if (answered.size >= total) child.kill('SIGKILL')
      }
      t.strictSame(await ended, [null, 'SIGKILL'])
    }

    const again = await open()
    for (const chatId of chatIds) {
      const stored = await again.listMessages({ chatId, limit: 100_000 })
      t.strictSame(
        stored.map((message) => message.seq),
        range(1, stored.length)
      )
      for (const { seq, id } of stored) {
        const key = `${chatId} ${seq}`
        if (answered.has(key) && answered.get(key) !== id) t.fail(`message ${key} has another id than was answered`)
        answered.delete(key)
      }
    }
    t.strictSame([...answered.keys()], [], 'nothing that was answered is missing')
    t.strictSame(rows(path, 'pragma integrity_check'), [{ integrity_check: 'ok' }])
    t.strictSame(rows(path, 'select chat_id from events group by chat_id having count(*) <> max(event_seq)'), [])
    t.equal((await say(again, chatIds[0] as number, 10001, 'goes on')).senderId, 10001)
  })
})

t.test('migrations', async (t) => {
  t.test('killed at every step, end at the newest schema with the next start', async (t) => {
    const { path, open } = place(t)
    const head = await schemaOf(t.testdir())
    let steps = 0
    for (let killAt = 1; ; killAt++) {
      const file = `${path}.${killAt}`
      const [code] = await once(start(t, 'open', [file, String(killAt)]), 'exit')
      const store = await open({ path: file })
      await addAccounts(store, 1)
      await store.close()
      t.strictSame(schemaIn(file), head, `killed at step ${killAt}`)
      if (code === 0) break
      steps++
    }
    t.ok(steps >= 7, `there were ${steps} steps to be killed at`)
  })

  t.test('a database of a newer version is refused with one sentence that says what to do', async (t) => {
    const { path, open } = place(t)
    await (await open()).close()
    const db = new DatabaseSync(path)
    db.exec('pragma user_version = 99')
    db.close()
    await t.rejects(open(), { message: /^the database has schema 99, this Lactea knows up to \d+: start the newer/ })
    t.strictSame(rows(path, 'pragma user_version'), [{ user_version: 99 }])
  })

  t.test('a file that is no database is refused at once', async (t) => {
    const dir = t.testdir({ 'lactea.db': 'this is a letter to my aunt, and not a database at all '.repeat(100) })
    await t.rejects(openSqliteStore({ path: joinPath(dir, 'lactea.db') }), { message: /not a database/ })
  })
})

t.test('no statement is planned anew at every call', async (t) => {
  // SQLite looks at a limit that is a parameter and nothing else when it plans, and so plans again for each.
  const { prototype } = DatabaseSync
  const calls = t.capture(prototype, 'prepare', Reflect.get(prototype, 'prepare') as DatabaseSync['prepare'])
  await place(t).open()
  const limits = calls().flatMap(({ args: [sql] }) => sql.match(/\blimit\s+[?:@$].*/gi) ?? [])
  t.ok(limits.length > 10)
  t.strictSame(
    limits.filter((limit) => !/^limit \S+ \+ 0/i.test(limit)),
    []
  )
})

t.test('another process that writes', async (t) => {
  t.test('is heard in the order of the log, between our own writes', async (t) => {
    const { open } = place(t)
    const [ours, theirs] = [await open(), await open({ isShort: true })]
    await addAccounts(ours, 2)
    const { id } = await addGroup(ours, [10001, 10002])
    const heard = listen(ours)
    const expected: string[] = []
    for (let round = 1; round <= 20; round++) {
      for (const [store, name] of [[ours, 'ours'] as const, [theirs, 'theirs'] as const]) {
        await say(store, id, 10001, `${name} ${round}`)
        expected.push(`${name} ${round}`)
      }
    }
    // The last one is theirs: nothing of ours makes us look.
    const events = await heard.next(40)
    t.strictSame(events.map(wordsOf), expected)
    t.strictSame(
      events.map((event) => event.eventSeq),
      range(1, 40)
    )
  })

  t.test('at the same time loses nothing and takes no seq twice', async (t) => {
    const { open } = place(t)
    const [ours, theirs] = [await open(), await open({ isShort: true })]
    await addAccounts(ours, 1)
    const { id } = await addGroup(ours, [10001])
    const heard = listen(ours)
    await Promise.all(range(1, 300).map((count) => say(count % 2 ? ours : theirs, id, 10001, `${count}`)))
    const events = await heard.next(300)
    t.strictSame(
      events.map((event) => event.eventSeq),
      range(1, 300)
    )
  })

  t.test('changes who may speak here', async (t) => {
    const { open } = place(t)
    const [ours, theirs] = [await open(), await open({ isShort: true })]
    await addAccounts(ours, 1)
    const { id } = await addGroup(ours, [10001])
    const seen: number[] = []
    const speak = () => say(ours, id, 10001, 'hi', ({ mutedUntil }) => seen.push(mutedUntil))
    await speak()
    const change = { type: 'mute', accountId: 10001, until: 99 } as const
    await theirs.changeGroup({ groupId: id, time: 0, decide: () => ({ change }) })
    await speak()
    t.strictSame(seen, [0, 99])
  })

  t.test('changes who hears our next message and what the group is called', async (t) => {
    const { open } = place(t)
    const [ours, theirs] = [await open(), await open({ isShort: true })]
    await addAccounts(ours, 3)
    const { id } = await addGroup(ours, [10001, 10002])
    const heard = listen(ours)
    await say(ours, id, 10001, 'before')
    await join(theirs, id, 10003)
    await leave(theirs, id, 10002)
    await rename(theirs, id, 'Theirs')
    await theirs.setNickname(10001, 'Renamed')
    await say(ours, id, 10001, 'after')
    const events = await heard.next(5)
    t.strictSame(
      events.map((event) => [wordsOf(event), event.audience]),
      [
        ['before', [10001, 10002]],
        ['+10003', [10001, 10002, 10003]],
        ['-10002', [10001, 10002, 10003]],
        ['group.renamed', [10001, 10003]],
        ['after', [10001, 10003]]
      ]
    )
    t.match(events.at(-1), { chat: { name: 'Theirs' }, data: { sender: { nickname: 'Renamed' } } })
  })

  t.test('is noticed when it adds nothing to the log', async (t) => {
    const { open } = place(t)
    const [ours, theirs] = [await open(), await open({ isShort: true })]
    await addAccounts(ours, 1)
    t.match(await ours.findAccount(10001), { isDisabled: false })
    const changed = new Promise<void>((resolve) => {
      ours.onForeignChange(resolve)
    })
    await theirs.disableAccount(10001, 1)
    await awake(changed)
    t.match(await ours.findAccount(10001), { isDisabled: true })
  })

  t.test('our own writes and checkpoints are no change of somebody else', async (t) => {
    const { path, open } = place(t)
    const [ours, theirs] = [await open(), await open({ isShort: true })]
    await addAccounts(ours, 1)
    const { id } = await addGroup(ours, [10001])
    let noticed = 0
    const changed = new Promise<void>((resolve) => {
      ours.onForeignChange(() => {
        noticed++
        resolve()
      })
    })
    const before = statSync(path).size
    // Until checkpoints have moved our words into the database, and some more.
    while (statSync(path).size < before + 2_000_000) await say(ours, id, 10001, 'x'.repeat(10_000))
    t.equal(noticed, 0)
    await theirs.setMeta('their', 'change')
    await awake(changed)
    t.equal(noticed, 1)
  })
})

t.test('a database that cannot be written', async (t) => {
  t.test('locked by another for long: reading goes on, writes are unavailable, and work again later', async (t) => {
    const { path, open } = place(t)
    const store = await open()
    await addAccounts(store, 1)
    const { id } = await addGroup(store, [10001])
    const other = new DatabaseSync(path)
    t.teardown(() => other.close())
    other.exec('begin immediate')
    const ended: string[] = []
    const end = async (name: string, work: Promise<unknown>): Promise<void> => {
      ended.push(`${name} ${await refusal(work)}`)
    }
    await Promise.all([
      end('append', say(store, id, 10001, 'one')),
      end('ping', store.ping()),
      end('read', store.findGroup(id))
    ])
    t.strictSame(ended, ['read accepted', 'ping unavailable', 'append unavailable'])
    other.exec('rollback')
    t.match(await say(store, id, 10001, 'two'), { seq: 1 })
    await t.resolves(store.ping())
  })

  t.test('locked by another for a moment: writes wait and are done in their order', async (t) => {
    const { path, open } = place(t)
    const store = await open()
    await addAccounts(store, 1)
    const { id } = await addGroup(store, [10001])
    const other = new DatabaseSync(path)
    t.teardown(() => other.close())
    other.exec('begin immediate')
    const sent = Promise.all(range(1, 300).map((count) => say(store, id, 10001, `${count}`)))
    t.equal(await refusal(store.ping()), 'unavailable')
    other.exec('commit')
    t.strictSame(
      (await sent).map((message) => message.seq),
      range(1, 300)
    )
  })

  const troubles = [
    {
      name: 'read-only',
      reason: 'unavailable',
      begin: () => 'pragma query_only = on',
      end: () => 'pragma query_only = off'
    },
    {
      name: 'full',
      reason: 'no_space',
      begin: (pages: number) => `pragma max_page_count = ${pages}`,
      end: () => 'pragma max_page_count = 1000000'
    }
  ]
  for (const { name, reason, begin, end } of troubles) {
    t.test(`${name}: every write is refused, nothing is half written, and writes work again later`, async (t) => {
      const { path, open } = place(t)
      const { store, db } = await openWatched(t, open)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001])
      const heard = listen(store)
      await say(store, id, 10001, 'before')
      db.exec(begin((db.prepare('pragma page_count').get() as { page_count: number }).page_count))
      const long = 'x'.repeat(100_000)
      const results = await Promise.all([
        refusal(join(store, id, 10002)),
        ...range(1, 10).map(() => refusal(say(store, id, 10001, long)))
      ])
      t.strictSame(new Set(results), new Set([reason]))
      db.exec(end())
      await say(store, id, 10001, 'after')
      const [, event] = await heard.next(2)
      t.equal(event?.eventSeq, 2)
      t.strictSame(event?.audience, [10001], 'who was not let in does not hear it')
      t.strictSame((await store.readEvents(10001, 0, 10)).events.map(wordsOf), ['before', 'after'])
      t.strictSame(rows(path, 'pragma integrity_check'), [{ integrity_check: 'ok' }])
    })
  }

  t.test('what an operation has changed before it failed is forgotten with it', async (t) => {
    const { open } = place(t)
    const store = await open()
    await addAccounts(store, 2)
    const { id } = await addGroup(store, [10001])
    const heard = listen(store)
    // A big integer has no JSON: the change is made, then writing its event fails.
    const unwritable = (change: GroupChange): Promise<void> =>
      store.changeGroup({
        groupId: id,
        time: 1,
        decide: () => ({ change, event: { kind: 'group.renamed', data: { name: 'x', operatorId: 1n as never } } })
      })
    const results = await Promise.all([
      refusal(unwritable({ type: 'rename', name: 'Never' })),
      refusal(unwritable({ type: 'add', accountId: 10002, role: 'member' })),
      refusal(say(store, id, 10001, 'one')),
      refusal(say(store, id, 10002, 'two'))
    ])
    t.strictSame(results, ['TypeError', 'TypeError', 'accepted', 'not_found'])
    t.match(await heard.next(1), [{ eventSeq: 1, chat: { name: 'Group' }, audience: [10001] }])
    t.match(await store.findGroup(id), { name: 'Group', memberCount: 1 })
  })
})

t.test('the write-ahead log stays short under load, and another thread empties it', async (t) => {
  const { path, open } = place(t)
  const orders: string[] = []
  // oxlint-disable-next-line typescript/unbound-method -- called on the object it was called on
  const { prepare } = DatabaseSync.prototype
  DatabaseSync.prototype.prepare = function (sql, ...rest) {
    orders.push(sql)
    return prepare.call(this, sql, ...rest)
  }
  t.teardown(() => {
    DatabaseSync.prototype.prepare = prepare
  })
  const store = await open()
  await addAccounts(store, 1)
  const { id } = await addGroup(store, [10001])
  let [left, longest, written] = [60_000, 0, 0]
  const words = 'x'.repeat(1500)
  const appendForLong = async (): Promise<void> => {
    while (left > 0) {
      left--
      await say(store, id, 10001, words)
      written += words.length
      if (left % 128 === 0) longest = Math.max(longest, statSync(`${path}-wal`).size)
    }
  }
  await Promise.all(Array.from({ length: 256 }, appendForLong))
  t.ok(longest < 64 * 1024 * 1024, `at most ${longest} bytes while ${written} were written`)
  t.ok(orders.length > 0 && !orders.some((sql) => sql.includes('checkpoint')), 'nothing was moved on this thread')
})

t.test('a data directory', async (t) => {
  t.test('is locked against a second process, until the first ends, however it ends', async (t) => {
    const dir = t.testdir()
    const child = start(t, 'lock', [dir])
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    t.throws(() => lockDirectory(dir), { message: /^another gateway is running on the data directory .*: stop it/ })
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    const unlock = lockDirectory(dir)
    t.throws(() => lockDirectory(dir), { message: /another gateway/ })
    unlock()
    lockDirectory(dir)()
  })

  t.test('that is not there is told as that', async (t) => {
    t.throws(() => lockDirectory(joinPath(t.testdir(), 'nowhere')), { message: /unable to open/ })
  })
})

interface Place {
  readonly path: string
  /** A store on the file of this test; closed when the test ends. */
  readonly open: (options?: Partial<SqliteOptions>) => Promise<Store>
}

function place(t: Test): Place {
  const stores: Store[] = []
  // Asked for before the directory, so that the stores are closed when the directory is removed.
  t.teardown(async () => {
    for (const store of stores) await store.close()
  })
  const path = joinPath(t.testdir(), 'lactea.db')
  return {
    path,
    async open(options) {
      const store = await openSqliteStore({ path, onError: (err) => t.error(err), ...options })
      stores.push(store)
      return store
    }
  }
}

/** A store together with the connection that it works on. */
async function openWatched(t: Test, open: Place['open']): Promise<{ store: Store; db: DatabaseSync }> {
  const seen: DatabaseSync[] = []
  // oxlint-disable-next-line typescript/unbound-method -- called on the object it was called on
  const { exec } = DatabaseSync.prototype
  DatabaseSync.prototype.exec = function (sql) {
    seen.push(this)
    exec.call(this, sql)
  }
  try {
    const store = await open()
    return { store, db: seen[0] as DatabaseSync }
  } finally {
    DatabaseSync.prototype.exec = exec
  }
}

function start(t: Test, name: string, args: readonly string[]): ChildProcess {
  const file = fileURLToPath(new URL(`./children/${name}.ts`, import.meta.url))
  const child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

function rename(store: Store, groupId: number, name: string): Promise<void> {
  return store.changeGroup({
    groupId,
    time: 1,
    decide: () => ({
      change: { type: 'rename', name },
      event: { kind: 'group.renamed', data: { name, operatorId: 10001 } }
    })
  })
}

/** Read by a connection of its own. */
function rows(path: string, sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(path)
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  } finally {
    db.close()
  }
}

function schemaIn(path: string): unknown[] {
  return [
    ...rows(path, 'pragma user_version'),
    ...rows(path, 'select type, name, sql from sqlite_schema order by type, name')
  ]
}

async function schemaOf(dir: string): Promise<unknown[]> {
  const path = joinPath(dir, 'head.db')
  const store = await openSqliteStore({ path, isShort: true })
  await store.close()
  return schemaIn(path)
}
