import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { createDoorbell, isClosedDoor } from '../../src/net/doorbell.ts'
import { createTestClock } from '../helpers/clock.ts'
import { waitFor } from '../helpers/wait.ts'

t.test('rings every half a minute until somebody is there, then no more', async (t) => {
  let rings = 0
  const server = createServer((socket) => {
    rings++
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const clock = createTestClock()
  let opened = 0
  const bell = createDoorbell({ url: `http://127.0.0.1:${port}/hook`, clock, onOpen: () => opened++ })
  t.teardown(bell.rest)
  bell.ring()
  bell.ring()
  for (let count = 0; count < 3; count++) {
    t.equal(clock.waiting(), 1)
    clock.advance(30_000)
    await waitFor(() => clock.waiting() === 1, 'the next ring')
  }
  t.equal(opened, 0)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  clock.advance(30_000)
  await waitFor(() => opened === 1)
  clock.advance(300_000)
  t.strictSame([rings, opened, clock.waiting()], [1, 1, 0])
  bell.ring()
  bell.rest()
  t.equal(clock.waiting(), 0)
})

t.test('a door is closed when no connection was made', async (t) => {
  for (const code of ['ECONNREFUSED', 'ENOTFOUND', 'UND_ERR_CONNECT_TIMEOUT'])
    t.ok(isClosedDoor(Object.assign(new Error('no'), { code })), code)
  for (const code of ['ECONNRESET', 'UND_ERR_SOCKET'])
    t.notOk(isClosedDoor(Object.assign(new Error('no'), { code })), code)
  t.notOk(isClosedDoor(new Error('it took more than 300 ms')))
})
