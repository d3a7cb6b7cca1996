import { stat } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import type { Undo } from '../core/bus.ts'

export interface CheckpointOptions {
  readonly path: string
  /** Stops the writers while the last pages are moved, so that the log can begin again from its start. */
  readonly holdWrites: () => Undo
  readonly onError: (err: unknown) => void
  readonly everyMs?: number
  /** Above this size of the log writers are held for the few milliseconds that a restart of it takes. */
  readonly restartBytes?: number
}

/**
 * Keeps the write-ahead log short from a worker thread. A passive checkpoint never waits for writers, but under constant
 * load it never reaches the end either; so when the log is long, the rest is moved while writes are held.
 */
export function startCheckpointer(options: CheckpointOptions): { stop: () => Promise<void> } {
  const { path, holdWrites, onError, everyMs = 500, restartBytes = 16 * 1024 * 1024 } = options
  const file = import.meta.url.endsWith('.ts') ? './checkpoint.ts' : './checkpoint.js'
  const worker = new Worker(new URL(file, import.meta.url), { workerData: { path } })
  worker.on('error', onError)
  worker.unref()
  let running: Promise<void> | undefined
  let lastSize = 0

  async function run(): Promise<void> {
    const { size } = await stat(`${path}-wal`).catch(() => ({ size: 0 }))
    if (size === lastSize && size < restartBytes) return
    lastSize = size
    await ask('passive')
    if (size < restartBytes) return
    const release = holdWrites()
    try {
      await ask('restart')
    } finally {
      release()
    }
  }

  function ask(mode: 'passive' | 'restart'): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        worker.off('message', done)
        worker.off('exit', done)
        resolve()
      }
      worker.once('message', done)
      worker.once('exit', done)
      worker.postMessage(mode)
    })
  }

  const timer = setInterval(() => {
    running ??= run()
      .catch(onError)
      .finally(() => {
        running = undefined
      })
  }, everyMs)
  timer.unref()

  return {
    async stop() {
      clearInterval(timer)
      // From here on its end is waited for.
      worker.ref()
      await running
      const exited = new Promise((resolve) => worker.once('exit', resolve))
      worker.postMessage('close')
      await exited
    }
  }
}
