import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { LookupAddress } from 'node:dns'
import t, { type Test } from 'tap'
import type { ActionError } from '../../src/core/errors.ts'
import { createFetcher } from '../../src/net/fetcher.ts'
import { createGuard, type Resolve } from '../../src/net/guard.ts'

/** A port of this machine at which every connection is counted, whatever the address. */
async function startCounter(t: Test): Promise<{ port: number; count: () => number }> {
  let count = 0
  const server = createServer((socket) => {
    count++
    socket.destroy()
  })
  t.teardown(() => server.close())
  // On all addresses of both families, where there are two.
  await new Promise<void>((resolve) => server.listen(0, resolve))
  return { port: (server.address() as AddressInfo).port, count: () => count }
}

const family = (address: string): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 })
const answer =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses.map(family)

async function fetchFrom(
  url: string,
  { allowedNetworks = [], resolve = answer() }: { allowedNetworks?: string[]; resolve?: Resolve } = {}
): Promise<string> {
  const fetch = createFetcher({ guard: createGuard({ allowedNetworks, resolve }), maxBytes: 1000 })
  const { signal } = new AbortController()
  const order = { ownerId: 10001, address: new URL(url), field: 'message', signal }
  return fetch(order, async () => 'fetched').catch((err: ActionError) => `${err.reason}: ${err.message}`)
}

const CLOSED = /^not_found: message: \S+ does not exist, or is in a network that media\.allowed_networks does not open$/

/** Hosts as somebody may write them who wants to reach what only this machine reaches. */
const LITERALS = [
  // This machine.
  '127.0.0.1',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '127.255.255.254',
  '2130706433',
  '017700000001',
  '0x7f000001',
  '0x7F.1',
  '0177.0.0.1',
  '0x7f.0x0.0x0.0x1',
  '00000177.0.0.01',
  '%31%32%37.0.0.1',
  '１２７.0.0.1',
  '127。0。0。1',
  '0',
  '0.0.0.0',
  '0.1.2.3',
  '[::1]',
  '[::]',
  '[0:0:0:0:0:0:0:1]',
  '[0000::0001]',
  '[::127.0.0.1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b:1::7f00:1]',
  '[2002:7f00:1::]',
  '[2001:0:7f00:1::80ff:fffe]',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'a.localhost',
  'a.b.LocalHost.',
  // Networks that are somebody's own.
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '3232235521',
  '100.64.0.1',
  '100.127.255.255',
  '169.254.1.1',
  '[fe80::1]',
  '[fc00::1]',
  '[fd12:3456::1]',
  '[fec0::1]',
  '[::ffff:10.0.0.1]',
  '[2002:a00:1::1]',
  // For nobody in particular.
  '192.0.0.1',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '[ff02::1]',
  '[100::1]',
  '[2001:db8::1]',
  '[2001:2::1]',
  '[2001:10::1]',
  '[3fff::1]',
  '[5f00::1]',
  '[4000::1]'
]

/** What tells machines who they are. */
const METADATA = [
  '169.254.169.254',
  '2852039166',
  '0xa9fea9fe',
  '0251.0376.0251.0376',
  '169.254.43518',
  '169.254.169.254.',
  '169.254.170.2',
  '169.254.170.23',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  '[fd00:ec2::254]',
  '[fd20:ce::254]',
  '[::ffff:169.254.169.254]',
  '[::ffff:a9fe:a9fe]',
  '[::169.254.169.254]',
  '[64:ff9b::169.254.169.254]',
  '[64:ff9b:1::a9fe:a9fe]',
  '[2002:a9fe:a9fe::1]',
  'metadata.google.internal',
  'METADATA.google.internal.',
  'metadata',
  'metadata.goog',
  'instance-data'
]

t.test('nothing that is not public is dialled, however it is written', async (t) => {
  const { port, count } = await startCounter(t)
  // Were a host taken for a name, it would lead straight to the counter.
  const resolve = answer('127.0.0.1')
  for (const host of [...LITERALS, ...METADATA])
    t.match(await fetchFrom(`http://${host}:${port}/`, { resolve }), CLOSED, host)
  t.equal(count(), 0)
})

t.test('names are as closed as what they mean', async (t) => {
  const { port, count } = await startCounter(t)
  for (const host of [...LITERALS, ...METADATA].filter((text) => /^[\d.]+$|^\[/.test(text))) {
    const address = new URL(`http://${host}`).hostname.replace(/^\[(.*)\]$/, '$1')
    t.match(await fetchFrom(`http://name.example:${port}/`, { resolve: answer(address) }), CLOSED, address)
  }
  for (const address of ['fe80::1%eth0', '::1%lo', 'nonsense', ''])
    t.match(await fetchFrom(`http://name.example:${port}/`, { resolve: answer(address) }), CLOSED, address)
  t.match(await fetchFrom(`http://name.example:${port}/`), CLOSED, 'a name without an address is answered the same')
  t.equal(count(), 0)
})

t.test('a network can be opened', async (t) => {
  const { port, count } = await startCounter(t)
  const rows: [host: string, allowedNetworks: string[], resolve?: Resolve][] = [
    ['127.0.0.1', ['127.0.0.0/8']],
    ['localhost', ['127.0.0.1']],
    ['files.docker', ['127.0.0.0/24'], answer('127.0.0.1')],
    ['files.docker', ['127.0.0.0/24'], answer('10.0.0.1', '127.0.0.1')]
  ]
  for (const [index, [host, allowedNetworks, resolve]] of rows.entries()) {
    const said = await fetchFrom(`http://${host}:${port}/`, { allowedNetworks, ...(resolve && { resolve }) })
    t.match(said, /^unavailable: message: nothing can be fetched from .* now \(\w+\)$/, host)
    t.equal(count(), index + 1, 'it was dialled')
  }
  t.match(await fetchFrom(`http://127.0.0.1:${port}/`, { allowedNetworks: ['10.0.0.0/8', '::1/128'] }), CLOSED)
  t.match(await fetchFrom(`http://[::ffff:127.0.0.1]:${port}/`, { allowedNetworks: ['127.0.0.0/8'] }), CLOSED)
})

t.test('metadata stays closed in a network that is open', async (t) => {
  const { port, count } = await startCounter(t)
  const allowedNetworks = ['0.0.0.0/0', '::/0']
  for (const host of METADATA)
    t.match(await fetchFrom(`http://${host}:${port}/`, { allowedNetworks, resolve: answer('127.0.0.1') }), CLOSED, host)
  for (const address of ['169.254.169.254', 'fd00:ec2::254', '::ffff:169.254.169.254'])
    t.match(await fetchFrom('http://name.example/', { allowedNetworks, resolve: answer(address) }), CLOSED, address)
  t.equal(count(), 0)
})

t.test('of several addresses only open ones are left', async (t) => {
  const guard = createGuard({
    allowedNetworks: [],
    resolve: answer('127.0.0.1', '93.184.216.34', '2606:2800:220:1::1', '::1')
  })
  t.strictSame(await guard('mixed.example'), [family('93.184.216.34'), family('2606:2800:220:1::1')])
  t.strictSame(await guard('8.8.8.8'), [family('8.8.8.8')])
  t.strictSame(await guard('[2606:4700::1111]'), [family('2606:4700::1111')])
  t.strictSame(await guard(''), [])
})

t.test('what is no address of a web server is refused before anything is asked', async (t) => {
  let asked = 0
  const resolve: Resolve = async () => {
    asked++
    return []
  }
  for (const port of [22, 25, 6379, 11211])
    t.match(
      await fetchFrom(`http://name.example:${port}/`, { resolve }),
      /^invalid: message: nothing is fetched from port \d+$/
    )
  for (const user of ['me', 'me:secret', ':secret'])
    t.equal(
      await fetchFrom(`http://${user}@name.example/`, { resolve }),
      'invalid: message: expected an address without user and password'
    )
  t.equal(asked, 0)
  for (const url of ['http://', 'http://[fe80::1%25eth0]/', 'http://256.1.1.1/', 'http://1.2.3.4.5/', 'http://[::1/'])
    t.equal(URL.parse(url), null, `${url} is no address`)
})

t.test('names that cannot be looked up now may be tried again', async (t) => {
  const resolve: Resolve = () => Promise.reject(Object.assign(new Error('later'), { code: 'EAI_AGAIN' }))
  t.equal(
    await fetchFrom('http://name.example/a?token=secret', { resolve }),
    'unavailable: message: nothing can be fetched from name.example now (EAI_AGAIN)'
  )
})
