import type { Store } from '../core/store.ts'
import { toTable, toTime } from './table.ts'

/** What a command says, and on what it was done where that is not its first argument. */
export type Told = string | { readonly said: string; readonly subject: string }

export interface Command {
  /** As the audit calls it: `bot.add`. */
  readonly action: string
  readonly args: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  /** Entries of the audit that are kept. */
  readonly maxEntries: number
}

/** Options that say nothing of what is done. */
const ASIDE = new Set(['config', 'dataDir', 'passwordStdin'])

/** Does what a command asks for and writes down that it was done, or tried; secrets are never among the arguments. */
export async function writtenDown(
  { store }: { readonly store: Store },
  { action, args, options, maxEntries }: Command,
  work: () => Promise<Told>
): Promise<string> {
  const [first = '', ...rest] = args
  const given = Object.entries(options).filter(([name, value]) => !ASIDE.has(name) && value !== undefined)
  const details = { ...(rest.length > 0 && { args: rest.flat() }), ...Object.fromEntries(given) }
  const note = (subject: string, more: object = {}): Promise<void> => {
    const time = Math.floor(Date.now() / 1000)
    return store.addAudit(
      { time, operator: 'command line', action, subject, details: { ...details, ...more }, ip: '' },
      maxEntries
    )
  }
  let told: Told
  try {
    told = await work()
  } catch (err) {
    await note(first, { error: (err as Error).message })
    throw err
  }
  const { said, subject } = typeof told === 'string' ? { said: told, subject: first } : told
  await note(subject)
  return said
}

/** The newest entries, the oldest of them first, as a terminal is read. */
export async function listAudit({ store }: { readonly store: Store }, { last }: { last: number }): Promise<string> {
  const entries = await store.listAudit({ limit: last })
  const rows = entries.toReversed().map(({ time, operator, action, subject, details, ip }) => {
    const more = Object.keys(details).length > 0 ? JSON.stringify(details) : ''
    return [toTime(time), ip === '' ? operator : `${operator} from ${ip}`, action, subject, more]
  })
  return toTable(rows, 'nothing was done yet')
}
