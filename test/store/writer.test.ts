import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import type { ActionError } from '../../src/core/errors.ts'
import { createWriter, type WriterListener } from '../../src/store/writer.ts'

const IO_ERROR_FSYNC = 10 | (4 << 8)
const FULL = 13

/** A database whose next commits end as they are told to, having been written or not. */
function openFailing(t: Test): { readonly db: DatabaseSync; readonly failNext: (errcode: number) => void } {
  const db = new DatabaseSync(':memory:')
  t.teardown(() => db.close())
  db.exec('create table notes(words text)')
  let failure: number | undefined
  const prepare = db.prepare.bind(db)
  db.prepare = (sql) => {
    const statement = prepare(sql)
    if (sql !== 'commit') return statement
    const run = statement.run.bind(statement)
    statement.run = () => {
      if (failure === undefined) return run()
      const errcode = failure
      failure = undefined
      throw Object.assign(new Error('disk I/O error'), { errcode })
    }
    return statement
  }
  return { db, failNext: (errcode) => (failure = errcode) }
}

const listener: WriterListener = {
  onBegin() {},
  onSettle() {},
  onDurable() {},
  onRollback() {},
  onTrouble() {},
  onWell() {}
}

t.test('what may be on the disk after all is not called undone', async (t) => {
  const { db, failNext } = openFailing(t)
  const writer = createWriter(db, listener)
  const insert = db.prepare('insert into notes values (?)')
  const rows: [errcode: number, reason: string][] = [
    [IO_ERROR_FSYNC, 'unknown'],
    [FULL, 'no_space']
  ]
  for (const [errcode, reason] of rows) {
    failNext(errcode)
    const both = await Promise.all(
      ['a', 'b'].map((words) => writer.write(() => insert.run(words)).catch((err: unknown) => err as ActionError))
    )
    for (const err of both) t.match(err, { name: 'ActionError', reason }, reason)
  }
  await writer.write(() => insert.run('c'))
  t.strictSame(
    db
      .prepare('select words from notes')
      .all()
      .map(({ words }) => words),
    ['c'],
    'and what comes next works'
  )
})

t.test('one that is thought to be plain and has a mistake in it takes nobody else with it', async (t) => {
  const { db } = openFailing(t)
  const writer = createWriter(db, listener)
  const insert = db.prepare('insert into notes values (?)')
  const mistake = new TypeError('a mistake')
  const plain = { manner: 'plain' } as const
  const results = await Promise.allSettled([
    writer.write(() => insert.run('a'), plain),
    writer.write(() => {
      insert.run('b')
      throw mistake
    }, plain),
    writer.write(() => insert.run('c')),
    writer.write(() => insert.run('d'), plain)
  ])
  t.strictSame(
    results.map((result) => (result.status === 'rejected' ? result.reason : 'done')),
    ['done', mistake, 'done', 'done']
  )
  const words = db.prepare('select words from notes').all()
  t.strictSame(
    words.map((row) => row['words']),
    ['a', 'c', 'd'],
    'each once'
  )
})
