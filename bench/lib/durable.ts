import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createMemoryBus } from '../../src/bus/memory.ts'
import { loadConfig } from '../../src/config.ts'
import { openBlobs } from '../../src/files/blobs.ts'
import { createGateway } from '../../src/gateway.ts'
import { createLogger } from '../../src/log.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { answerParent } from './ipc.ts'
import { createLatencies } from './stats.ts'

// A process with the gateway's core and its database, and no doors.

const IN_FLIGHT = 64
const TEXT = 'A message as people write them, not long. '.repeat(2)
const dir = process.argv[2] ?? '.'

const store = await openSqliteStore({
  path: join(dir, 'lactea.db'),
  onError(err) {
    throw err
  }
})
const gateway = await createGateway({
  store,
  bus: createMemoryBus(),
  blobs: await openBlobs(join(dir, 'files')),
  secret: 'a secret for this run',
  origin: () => '',
  log: createLogger('warn'),
  config: loadConfig({ env: {}, cwd: dir }).config,
  version: ''
})
const speaker = await gateway.accounts.add({ kind: 'bot', nickname: 'Speaker' })
const hearer = await gateway.accounts.add({ kind: 'bot', nickname: 'Hearer' })
await store.addFriendship(speaker.id, hearer.id, gateway.now())
const chatId = await gateway.chats.openPrivate(speaker, hearer.id)

async function send(seconds: number) {
  const latencies = createLatencies()
  const begunAt = performance.now()
  const deadline = begunAt + seconds * 1000
  let count = 0

  async function keepSending(): Promise<void> {
    for (let now = performance.now(); now < deadline; now = performance.now()) {
      await gateway.chats.send({ chatId, sender: speaker, segments: [{ type: 'text', text: TEXT }] })
      latencies.record(performance.now() - now)
      count++
    }
  }

  await Promise.all(Array.from({ length: IN_FLIGHT }, keepSending))
  return { count, elapsedMs: performance.now() - begunAt, ...latencies.read() }
}

const bare = new DatabaseSync(join(dir, 'bare.db'))
bare.exec(`
  pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 0; pragma cache_size = -32000;
  create table messages(
    id integer primary key, chat_id integer, seq integer, sender_id integer, time integer, segments text
  ) strict;
  create unique index messages_position on messages(chat_id, seq)`)
const begin = bare.prepare('begin immediate')
const commit = bare.prepare('commit')
const insert = bare.prepare('insert into messages(chat_id, seq, sender_id, time, segments) values (?, ?, ?, ?, ?)')
let seq = 0

async function commitRows(seconds: number) {
  const latencies = createLatencies()
  const begunAt = performance.now()
  const deadline = begunAt + seconds * 1000
  const before = seq
  for (let now = performance.now(); now < deadline; now = performance.now()) {
    begin.run()
    for (let row = 0; row < IN_FLIGHT; row++) {
      insert.run(chatId, ++seq, speaker.id, gateway.now(), JSON.stringify([{ type: 'text', text: TEXT }]))
    }
    commit.run()
    latencies.record(performance.now() - now, IN_FLIGHT)
    await nextTurn()
  }
  return { count: seq - before, elapsedMs: performance.now() - begunAt, ...latencies.read() }
}

answerParent({ send, commitRows })
process.channel?.ref()
process.once('SIGTERM', () => process.exit(0))
