import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

// Runs in a worker thread: moving pages from the log into the database takes 100 ms and more, which no client should wait for.
const db = new DatabaseSync((workerData as { path: string }).path)
db.exec('pragma synchronous = full; pragma busy_timeout = 1000; pragma wal_autocheckpoint = 0')

// Passive always: it never waits for a writer, and the log begins anew by itself once all of it was moved.
const checkpoint = db.prepare('pragma wal_checkpoint(passive)')

/** How many pages the log had when it began, or why it could not. */
export type Checkpointed = { readonly frames: number } | { readonly error: string }

function run(): Checkpointed {
  try {
    return { frames: (checkpoint.get() as { log: number }).log }
  } catch (err) {
    return { error: (err as Error).message }
  }
}

parentPort?.on('message', (order: 'checkpoint' | 'close') => {
  if (order === 'checkpoint') {
    parentPort?.postMessage(run())
    return
  }
  db.close()
  parentPort?.close()
})
