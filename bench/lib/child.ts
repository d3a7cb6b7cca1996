import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Figures } from './bench.ts'
import { getCores } from './cores.ts'
import { createAsk } from './ipc.ts'
import { createNoiseMeter } from './noise.ts'
import type { Usage } from './probe.ts'

export interface Child {
  readonly ask: <T>(question: string, given?: unknown) => Promise<T>
  /** The first line of its output that fits. Rejects, with what it said, when it ends before. */
  readonly findLine: (pattern: RegExp) => Promise<RegExpExecArray>
  /** Asks it to end, and waits; it is killed if it takes long. */
  readonly stop: () => Promise<void>
}

export interface ChildOptions {
  /** Without the probe nothing is asked; for measuring the start itself. */
  readonly isProbed?: boolean
}

const PROBE = fileURLToPath(new URL('./probe.ts', import.meta.url))
const KILL_AFTER_MS = 10_000

const running = new Set<ChildProcess>()
const dirs: string[] = []

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

/** A directory that is gone when the bench ends. */
export function makeDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'lactea-bench-'))
  dirs.push(dir)
  return dir
}

/** Runs a script in a process of its own, on the core of what is measured. */
export function startChild(args: readonly string[], { isProbed = true }: ChildOptions = {}): Child {
  const errors = join(makeDir(), 'stderr.log')
  const probe = isProbed ? ['--import', PROBE] : []
  const [file = '', ...rest] = getCores().measured([process.execPath, ...probe, ...args])
  const child = spawn(file, rest, {
    stdio: ['ignore', 'pipe', openSync(errors, 'w'), ...(isProbed ? (['ipc'] as const) : [])]
  })
  running.add(child)
  const exited = once(child, 'exit')
  void exited.then(() => running.delete(child))

  return {
    ask: createAsk(child),
    async findLine(pattern) {
      const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
      const said: string[] = []
      for await (const line of lines) {
        const found = pattern.exec(line)
        if (found) {
          child.stdout?.resume()
          return found
        }
        said.push(line)
      }
      throw new Error(`${args.join(' ')} ended early: ${[...said, readFileSync(errors, 'utf8')].join('\n')}`)
    },
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
      await exited
      clearTimeout(timer)
    }
  }
}

/** What a load gave: how many things were done in what time, and further figures. */
export interface Load {
  readonly count: number
  readonly elapsedMs: number
  readonly [figure: string]: number
}

/** Runs the load and adds what the child used for it, per thing that was done. */
export async function measure(child: Child, load: () => Promise<Load>): Promise<Figures> {
  await child.ask('begin')
  const meter = createNoiseMeter(getCores().measuredCore)
  const sleepAgain = stayAwake()
  const { count, elapsedMs, ...more } = await load().finally(sleepAgain)
  const usage = await child.ask<Usage>('end')
  const noise = meter?.read(usage.cpuUs)
  return {
    perSecond: (count / elapsedMs) * 1000,
    ...more,
    cpuUs: usage.cpuUs / count,
    // Well below 1: not this process but the load generator was the limit.
    cpuShare: usage.cpuUs / 1000 / usage.elapsedMs,
    loopP99Ms: usage.loopP99Ms,
    loopMaxMs: usage.loopMaxMs,
    rssMiB: usage.rss / 2 ** 20,
    ...(noise && { othersShare: noise.others, stolenShare: noise.stolen })
  }
}

/**
 * Lets this process look for work instead of sleeping. Who writes to a sleeping one pays for waking it, some microseconds a
 * time: the slower side of a comparison more often than the quicker, and clients on other machines cost that nobody.
 */
function stayAwake(): () => void {
  let isAwake = true
  const look = (): void => void (isAwake && setImmediate(look))
  look()
  return () => {
    isAwake = false
  }
}
