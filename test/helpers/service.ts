import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import type { Test } from 'tap'

const MAIN = resolve(import.meta.dirname, '../../src/main.js')

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd: string
  /** Given on standard input. */
  readonly input?: string
}

/** Runs `lactea …` in a process of its own, to its end. */
export async function runLactea(args: readonly string[], { cwd, input = '' }: RunOptions): Promise<Finished> {
  const child = spawnLactea(args, cwd)
  child.stdin?.end(input)
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    readAll(child.stdout!),
    readAll(child.stderr!)
  ])
  return { code: code as number | null, stdout, stderr }
}

export interface Service {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly ws: string
  readonly pid: number
  /** Everything that was printed up to and with the first start's hints. */
  readonly printed: string
  readonly kill: (signal: NodeJS.Signals) => Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** What was logged so far. */
  readonly log: () => string
}

/** `lactea start` in a process of its own, on a free port unless `args` say otherwise; killed when the test ends. */
export async function startService(
  t: Test,
  cwd: string,
  args: readonly string[] = [],
  { nodeArgs = [] }: { readonly nodeArgs?: readonly string[] } = {}
): Promise<Service> {
  const child = spawnLactea(['start', '--port', '0', ...args], cwd, nodeArgs)
  const exited = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null
  }))
  // Its files cannot be removed while it still writes.
  t.teardown(() => {
    child.kill('SIGKILL')
    return exited
  })
  let printed = ''
  let logged = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (logged += chunk))
  // What is printed at the start is one write.
  await Promise.race([once(child.stdout!, 'data'), exited])
  const url = /https?:\/\/\S+/.exec(printed)?.[0]
  if (url === undefined) throw new Error(`the service did not start: ${logged}`)

  return {
    url,
    ws: url.replace('http', 'ws'),
    pid: child.pid ?? 0,
    printed,
    exited,
    log: () => logged,
    kill(signal) {
      child.kill(signal)
      return exited
    }
  }
}

/** Without the variables of this process: a LACTEA_ variable or a hook of the test runner would change what is tested. */
function spawnLactea(args: readonly string[], cwd: string, nodeArgs: readonly string[] = []): ChildProcess {
  const { PATH, HOME } = process.env
  return spawn(process.execPath, [...nodeArgs, MAIN, ...args], { cwd, env: { PATH, HOME }, stdio: 'pipe' })
}
