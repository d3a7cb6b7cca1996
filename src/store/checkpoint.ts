import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

// Runs in a worker thread: moving pages from the log into the database takes 100 ms and more, which no client should wait for.
const db = new DatabaseSync((workerData as { path: string }).path)
db.exec('pragma synchronous = full; pragma busy_timeout = 1000; pragma wal_autocheckpoint = 0')

parentPort?.on('message', (mode: 'passive' | 'restart' | 'close') => {
  if (mode === 'close') {
    db.close()
    parentPort?.close()
    return
  }
  const { log, checkpointed } = db.prepare(`pragma wal_checkpoint(${mode})`).get() as {
    log: number
    checkpointed: number
  }
  parentPort?.postMessage({ mode, isComplete: log === checkpointed })
})
