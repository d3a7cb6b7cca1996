import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** What is measured gets a core of its own, what makes the load another, so that neither takes time from the other. */
export interface Cores {
  readonly isPinned: boolean
  /** The number of the one that is measured on. */
  readonly measuredCore: number | undefined
  /** The command line that runs this one on the core of what is measured. */
  readonly measured: (command: readonly string[]) => readonly string[]
}

let shared: Cores | undefined

/** From the first call on this process, the load generator, is pinned, too. Without `taskset` or a second core everything runs where it may. */
export const getCores = (): Cores => (shared ??= shareCores())

function shareCores(): Cores {
  const [first, second] = allowedCores()
  const canPin = second !== undefined && spawnSync('taskset', ['--version']).status === 0
  if (!canPin) return { isPinned: false, measuredCore: undefined, measured: (command) => command }
  spawnSync('taskset', ['-acp', String(second), String(process.pid)])
  return { isPinned: true, measuredCore: first, measured: (command) => ['taskset', '-c', String(first), ...command] }
}

function allowedCores(): number[] {
  let list: string | undefined
  try {
    list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  } catch {
    return []
  }
  return (list ?? '').split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  })
}
