import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { waitFor } from '../../helpers/wait.ts'
import { startProxy } from './proxy.ts'

/** A server that says everything back, and a client of it through the proxy. */
async function startEcho(t: Test) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const proxy = await startProxy(t, (server.address() as AddressInfo).port)
  const dial = async () => {
    const socket = connect(proxy.port, '127.0.0.1')
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    let heard = ''
    socket.on('data', (chunk) => (heard += String(chunk)))
    await once(socket, 'connect')
    return { socket, heard: () => heard }
  }
  return { proxy, dial, sockets }
}

t.test('what is said passes, and passes slowly when it should', async (t) => {
  const { proxy, dial } = await startEcho(t)
  const { socket, heard } = await dial()
  socket.write('hello')
  await waitFor(() => heard() === 'hello')
  proxy.trickle(1000)
  const startedAt = performance.now()
  socket.write('x'.repeat(200))
  await waitFor(() => heard().length === 205)
  t.ok(performance.now() - startedAt > 150, 'a trickle takes its time')
  t.equal(proxy.open(), 1)
})

t.test('a pulled cable says nothing and closes nothing; a cut is a reset', async (t) => {
  const { proxy, dial, sockets } = await startEcho(t)
  const { socket, heard } = await dial()
  socket.write('a')
  await waitFor(() => heard() === 'a')
  proxy.halfOpen()
  socket.write('b')
  const second = await dial()
  second.socket.write('c')
  await waitFor(() => proxy.swallowed() === 2)
  proxy.heal()
  socket.write('d')
  await waitFor(() => heard() === 'ad')
  t.notOk(sockets[0]?.destroyed)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  proxy.cut()
  await closed
  t.equal(proxy.open(), 0)
})

t.test('who is refused is refused until the proxy accepts again', async (t) => {
  const { proxy, dial } = await startEcho(t)
  await proxy.refuse()
  await t.rejects(dial(), { code: 'ECONNREFUSED' })
  await proxy.accept()
  const { socket, heard } = await dial()
  proxy.filter((chunk, to) => (to === 'client' ? undefined : chunk))
  socket.write('swallowed')
  proxy.filter(undefined)
  await waitFor(() => proxy.open() === 1)
  t.equal(heard(), '')
})
