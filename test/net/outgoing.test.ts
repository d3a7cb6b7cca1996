import type { LookupAddress } from 'node:dns'
import t from 'tap'
import { createOutgoing, doubtAbout, type OutgoingOptions } from '../../src/net/outgoing.ts'

const here: LookupAddress[] = [{ address: '127.0.0.1', family: 4 }]
const there: LookupAddress[] = [
  { address: '93.184.216.34', family: 4 },
  { address: '2606:2800:220:1::1', family: 6 }
]

const create = (options: Partial<OutgoingOptions>) =>
  createOutgoing({ guard: true, allowedNetworks: [], isContainer: false, resolve: async () => here, ...options })

/** What `net.connect` is given for a name. */
async function look(options: Partial<OutgoingOptions>, how: { all?: boolean; family?: 4 | 6 | 'IPv6' } = {}) {
  const lookup = await create(options).lookupFor('http://name.example/', () => {})
  return new Promise((resolve) =>
    lookup('name.example', how, (err, address, family) => resolve(err ? err.message : { address, family }))
  )
}

void t.test('names mean their open addresses, in the form that is asked for', async (t) => {
  const resolve = async () => [...here, ...there]
  t.strictSame(await look({ resolve }), { address: '93.184.216.34', family: 4 })
  t.strictSame(await look({ resolve }, { family: 6 }), { address: '2606:2800:220:1::1', family: 6 })
  t.strictSame(await look({ resolve }, { family: 'IPv6' }), { address: '2606:2800:220:1::1', family: 6 })
  t.strictSame(await look({ resolve }, { all: true }), { address: there, family: undefined })
  t.strictSame(await look({ guard: false, resolve }), { address: '127.0.0.1', family: 4 })
})

void t.test('what is closed is said in words, with what opens it', async (t) => {
  const words = 'no address that is public or in a network of outgoing.allowed_networks'
  t.match(await look({}), words)
  await t.rejects(
    create({}).lookupFor('ws://192.168.1.5:8080/', () => {}),
    { message: new RegExp(words) }
  )
  await t.resolves(create({ allowedNetworks: ['192.168.0.0/16'] }).lookupFor('ws://192.168.1.5:8080/', () => {}))
  await t.resolves(create({ guard: false }).lookupFor('ws://192.168.1.5:8080/', () => {}))
  await t.rejects(
    create({ guard: false }).lookupFor('http://169.254.169.254/', () => {}),
    /keys of machines/
  )
  const failed = { guard: false, resolve: () => Promise.reject(new Error('try again')) }
  t.equal(await look(failed), 'try again')
})

void t.test('addresses that are surely a mistake are warned about, and dialled all the same', async (t) => {
  const rows: [url: string, isContainer: boolean, words: RegExp | undefined][] = [
    ['http://0.0.0.0:8080/', false, /an address to listen on/],
    ['ws://[::]:8080/', false, /an address to listen on/],
    ['http://0/', false, /an address to listen on/],
    ['http://127.0.0.1:8080/', true, /this container itself/],
    ['ws://localhost:8080/', true, /host\.docker\.internal/],
    ['ws://[::1]/', true, /this container itself/],
    ['http://bot.localhost./', true, /this container itself/],
    ['http://127.0.0.1:8080/', false, undefined],
    ['http://bot:8080/', true, undefined],
    ['http://127.example.org/', true, undefined]
  ]
  for (const [url, isContainer, words] of rows) {
    const said = doubtAbout(url, isContainer)
    if (words) t.match(said, words, url)
    else t.equal(said, undefined, url)
    const warnings: string[] = []
    await create({ guard: false, isContainer }).lookupFor(url, (warning) => warnings.push(warning))
    t.strictSame(warnings, said === undefined ? [] : [said])
  }
})
