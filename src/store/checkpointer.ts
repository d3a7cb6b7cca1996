import { stat } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import type { Undo } from '../core/bus.ts'
import type { Checkpointed } from './checkpoint.ts'

export interface CheckpointOptions {
  readonly path: string
  /** Stops the writers while the last pages are moved, so that the log can begin again from its start. */
  readonly holdWrites: () => Undo
  readonly onError: (err: unknown) => void
}

const EVERY_MS = 200
/** How long writers go on beside a checkpoint: the disk may be slow, and the log must not outgrow it meanwhile. */
const PATIENCE_MS = 150
/** 16 MB of pages: above it writers are held for the few milliseconds that moving the last of them takes. */
const LONG = 4096

/**
 * Keeps the write-ahead log short from a worker thread. A checkpoint does not wait for writers, but under constant load
 * it never reaches the end either; so when the log is long, the rest is moved while writes are held.
 */
export function startCheckpointer({ path, holdWrites, onError }: CheckpointOptions): { stop: () => Promise<void> } {
  /** Started when there is something to move. */
  let worker: Worker | undefined
  let running: Promise<void> | undefined
  /** When the log was last written to, as far as it was moved. */
  let movedTo = 0
  let isFailing = false

  function startWorker(): Worker {
    const file = import.meta.url.endsWith('.ts') ? './checkpoint.ts' : './checkpoint.js'
    // Reports of Node on a crash speak of each thread by itself, and would tell the variables of the process here too.
    const execArgv = ['--report-exclude-env']
    const started = new Worker(new URL(file, import.meta.url), { workerData: { path }, execArgv })
    started.on('error', report)
    // Begun again with the next round: without a checkpoint the log would grow for ever.
    started.once('exit', () => {
      worker = undefined
    })
    started.unref()
    return started
  }

  async function run(): Promise<void> {
    const { mtimeMs } = await stat(`${path}-wal`).catch(() => ({ mtimeMs: 0 }))
    if (mtimeMs === movedTo) return
    if ((await checkpoint(PATIENCE_MS)) > LONG) await checkpoint(0)
    movedTo = mtimeMs
    isFailing = false
  }

  /** Gives the length of the log, in pages. Writers are held from `patienceMs` on until it is done. */
  async function checkpoint(patienceMs: number): Promise<number> {
    let release = patienceMs === 0 ? holdWrites() : undefined
    const patience = setTimeout(() => (release ??= holdWrites()), patienceMs)
    try {
      const answer = await ask((worker ??= startWorker()))
      if ('error' in answer) throw new Error(`the write-ahead log could not be moved: ${answer.error}`)
      return answer.frames
    } finally {
      clearTimeout(patience)
      release?.()
    }
  }

  /** What goes wrong, goes wrong again at every round until somebody makes space: it is told once. */
  function report(err: unknown): void {
    if (!isFailing) onError(err)
    isFailing = true
  }

  const timer = setInterval(() => {
    running ??= run()
      .catch(report)
      .finally(() => {
        running = undefined
      })
  }, EVERY_MS)
  timer.unref()

  return {
    async stop() {
      clearInterval(timer)
      await running
      if (!worker) return
      const last = worker
      const exited = new Promise((resolve) => last.once('exit', resolve))
      last.ref()
      last.postMessage('close')
      await exited
    }
  }
}

function ask(worker: Worker): Promise<Checkpointed> {
  return new Promise((resolve) => {
    const onMessage = (answer: Checkpointed): void => {
      worker.unref()
      worker.off('exit', onExit)
      resolve(answer)
    }
    const onExit = (): void => {
      worker.off('message', onMessage)
      resolve({ error: 'its thread ended' })
    }
    worker.once('message', onMessage)
    worker.once('exit', onExit)
    // Writers may be held: the process must not end before they go on.
    worker.ref()
    worker.postMessage('checkpoint')
  })
}
