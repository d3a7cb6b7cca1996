import autocannon from 'autocannon'
import type { Bench } from './lib/bench.ts'
import type { Memory } from './lib/probe.ts'
import { openRawSocket, openRawSockets } from './lib/raw-socket.ts'
import { listeners, sender, startService } from './lib/service.ts'

const SOCKETS = 1000

export const memory: Bench = {
  name: 'memory',
  what: `resident memory of one idle signed-in socket, over ${SOCKETS}`,
  figure: 'bytesPerSocket',
  isCold: true,
  goals: [{ figure: 'bytesPerSocket', atMost: 12 * 1024, says: '≤ 12 KiB' }],
  async prepare() {
    return { service: weigh, close: async () => {} }
  }
}

async function weigh() {
  const { child, port } = await startService()
  const open = (index: number) =>
    openRawSocket(port, `/?access_token=${listeners[index % listeners.length]?.access_token}`)

  // What a process grows to when it works at all is not the price of a socket.
  const warming = await openRawSockets(50, open)
  await autocannon({
    url: `http://127.0.0.1:${port}/get_login_info`,
    method: 'POST',
    headers: { authorization: `Bearer ${sender.access_token}`, 'content-type': 'application/json' },
    body: '{}',
    connections: 64,
    duration: 1
  })
  const before = await child.ask<Memory>('memory')
  const sockets = await openRawSockets(SOCKETS, open)
  const after = await child.ask<Memory>('memory')

  for (const socket of [...warming, ...sockets]) socket.close()
  await child.stop()
  return {
    bytesPerSocket: (after.rss - before.rss) / SOCKETS,
    liveBytesPerSocket: (after.live - before.live) / SOCKETS
  }
}
