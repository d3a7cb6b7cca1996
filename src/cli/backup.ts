import { constants, setPriority } from 'node:os'
import { join, resolve } from 'node:path'
import { createBackup, type BackupNote } from '../backup.ts'
import type { Config } from '../config.ts'
import { completeRestore, restoreBackup } from '../restore.ts'
import { migrateDatabase } from '../store/index.ts'
import { readVersion } from '../version.ts'

const now = (): number => Math.floor(Date.now() / 1000)

/** `lactea backup FILE`, also while the gateway runs. */
export async function backUp(config: Config, file: string): Promise<string> {
  // The gateway comes first.
  setPriority(constants.priority.PRIORITY_LOW)
  const dir = resolve(config.data.dir)
  await completeRestore(dir)
  const ended = new AbortController()
  const end = (): void => ended.abort(new Error('the backup was broken off; nothing was written'))
  process.once('SIGINT', end).once('SIGTERM', end)
  try {
    const report = await createBackup({ dir, file, version: readVersion(), now: now(), signal: ended.signal })
    const { note, bytes, contents, gone, secrets } = report
    return [
      `${resolve(file)}: ${toSize(bytes)}, checked`,
      ...describe(note),
      `  ${count(contents, 'uploaded file')}${secrets.length > 0 ? `, ${secrets.join(', ')}` : ''}`,
      ...(gone.length > 0 ? [`  ${count(gone.length, 'file')} went with recalled messages meanwhile`] : []),
      'It holds keys and what people have said: keep it where only you can read it.'
    ].join('\n')
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end)
  }
}

/** `lactea restore FILE [--force]`. */
export async function restore(config: Config, file: string, { force }: { force?: boolean }): Promise<string> {
  const dir = resolve(config.data.dir)
  const { note, contents, missing, keptIn } = await restoreBackup({ dir, file, isForced: force === true, now: now() })
  return [
    `${dir} is as it was at ${toTime(note.made_at)}`,
    ...describe(note),
    `  ${count(contents, 'uploaded file')}`,
    ...(missing > 0 ? [`  ${count(missing, 'file')} of the database are not in the backup`] : []),
    ...(keptIn === undefined ? [] : [`What was there before is kept in ${keptIn}; remove it when all is well.`])
  ].join('\n')
}

/** `lactea migrate`: the start does it too. */
export async function migrate(config: Config): Promise<string> {
  const dir = resolve(config.data.dir)
  await completeRestore(dir)
  const { from, to, copy } = await migrateDatabase(join(dir, 'lactea.db'))
  if (from === to) return `the database has the newest schema already: ${to}`
  return `the database went from schema ${from} to ${to}${copy === undefined ? '' : `; as it was before: ${copy}`}`
}

function describe({ made_at, version, schema, accounts, messages, last_event_id }: BackupNote): string[] {
  return [
    `  made at ${toTime(made_at)} by Lactea ${version}, schema ${schema}`,
    `  ${count(accounts, 'account')}, ${count(messages, 'message')}, events up to ${last_event_id}`
  ]
}

function toTime(time: number): string {
  return new Date(time * 1000).toISOString().replace('.000Z', 'Z')
}

function toSize(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.round(bytes / 1024 / 1024)} MiB`
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
