import type { Bench } from './lib/bench.ts'
import type { Memory } from './lib/probe.ts'
import { openRawSocket, openRawSockets, type RawSocket } from './lib/raw-socket.ts'
import { listeners, startService } from './lib/service.ts'

/** Until then V8 still makes room for what opening them leaves behind; that is not the price of a socket. */
const FIRST = 4000
const MEASURED = 2000

export const memory: Bench = {
  name: 'memory',
  what: `resident memory of one more idle signed-in socket, from ${FIRST} to ${FIRST + MEASURED}`,
  figure: 'bytesPerSocket',
  isCold: true,
  goals: [{ figure: 'bytesPerSocket', atMost: 12 * 1024, says: '≤ 12 KiB' }],
  async prepare() {
    return { service: weigh, close: async () => {} }
  }
}

async function weigh() {
  const { child, port } = await startService()
  const sockets: RawSocket[] = []

  async function weighWith(count: number): Promise<Memory> {
    const more = await openRawSockets(count, (index) =>
      openRawSocket(port, `/?access_token=${listeners[index % listeners.length]?.access_token}`)
    )
    sockets.push(...more)
    return child.ask<Memory>('memory')
  }

  const none = await weighWith(0)
  const thousand = await weighWith(1000)
  const before = await weighWith(FIRST - 1000)
  const after = await weighWith(MEASURED)
  for (const socket of sockets) socket.close()
  await child.stop()
  return {
    bytesPerSocket: (after.rss - before.rss) / MEASURED,
    /** Of the first thousand beside a process that has none. */
    bytesPerFirstSocket: (thousand.rss - none.rss) / 1000,
    liveBytesPerSocket: (after.live - before.live) / MEASURED
  }
}
