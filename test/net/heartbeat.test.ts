import { once } from 'node:events'
import t, { type Test } from 'tap'
import { startPings } from '../../sdk/src/pings.ts'
import { watchSilence } from '../../src/net/ends.ts'
import { startHeartbeat } from '../../src/net/heartbeat.ts'
import { openPair } from '../helpers/pair.ts'

const QUICK = { periodMs: 100, pongMs: 40 }

function start(t: Test) {
  const heartbeat = startHeartbeat(QUICK)
  t.teardown(heartbeat.stop)
  return heartbeat
}

/** Nothing runs meanwhile: no timer, no socket. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

t.test('who answers late because our event loop was blocked is not cut', async (t) => {
  const heartbeat = start(t)
  const { server, client } = await openPair(t, { autoPong: false })
  heartbeat.watch(server)
  for (let round = 0; round < 3; round++) {
    const [payload] = (await once(client, 'ping')) as [Buffer]
    block(QUICK.periodMs * 3)
    client.pong(payload)
  }
  await once(client, 'ping')
  t.equal(server.readyState, server.OPEN)
})

t.test('who sends a frame that takes its time is alive', async (t) => {
  const heartbeat = start(t)
  const busy = await openPair(t, { autoPong: false })
  let read = 0
  const stream = {
    get bytesRead() {
      return ++read
    }
  }
  heartbeat.watch(busy.server, { stream })
  const other = await openPair(t)
  heartbeat.watch(other.server)
  for (let round = 0; round < 4; round++) await once(other.client, 'ping')
  t.equal(busy.server.readyState, busy.server.OPEN)
})

t.test('who is not read cannot answer, and is cut when it is read again and does not', async (t) => {
  const heartbeat = start(t)
  const held = await openPair(t, { autoPong: false })
  heartbeat.watch(held.server)
  held.server.pause()
  const other = await openPair(t)
  heartbeat.watch(other.server)
  for (let round = 0; round < 4; round++) await once(other.client, 'ping')
  t.equal(held.server.readyState, held.server.OPEN)
  held.server.resume()
  t.equal((await once(held.server, 'close'))[0], 1006)
})

t.test('a period without an end of patience cuts nobody', async (t) => {
  const heartbeat = startHeartbeat({ periodMs: 20, pongMs: Infinity })
  t.teardown(heartbeat.stop)
  const { server, client } = await openPair(t, { autoPong: false })
  heartbeat.watch(server)
  for (let round = 0; round < 5; round++) await once(client, 'ping')
  t.equal(server.readyState, server.OPEN)
})

t.test('pings of a single socket forgive a blocked event loop, and find a peer that is silent', async (t) => {
  const { server, client } = await openPair(t, { autoPong: false })
  let isSilent = false
  const found = new Promise<void>((resolve) =>
    startPings({
      socket: server,
      intervalMs: 50,
      timeoutMs: 40,
      onSilent() {
        isSilent = true
        resolve()
      }
    })
  )
  for (let round = 0; round < 3; round++) {
    const [payload] = (await once(client, 'ping')) as [Buffer]
    block(200)
    client.pong(payload)
  }
  await once(client, 'ping')
  t.notOk(isSilent)
  await found
})

t.test('what came while the event loop was blocked breaks a silence', async (t) => {
  const { server, client } = await openPair(t)
  let isSilent = false
  watchSilence(server, 150, () => (isSilent = true))
  client.send('here')
  // The word lies in the network by now, and the time is over before it is read.
  block(300)
  await once(server, 'message')
  t.notOk(isSilent)
})
