import type { LookupAddress } from 'node:dns'
import t from 'tap'
import type { ActionError } from '../../src/core/errors.ts'
import { createFetcher } from '../../src/net/fetcher.ts'
import { createGuard, type Resolve } from '../../src/net/guard.ts'
import { addressOf, LITERALS, METADATA, startCounter } from '../helpers/spellings.ts'

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
    const address = addressOf(host)
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
