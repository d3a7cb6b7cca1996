import { SignJWT } from 'jose'
import type { Bench } from './lib/bench.ts'
import type { Memory } from './lib/probe.ts'
import { openRawSocket, openRawSockets, type RawSocket } from './lib/raw-socket.ts'
import { listeners, startService } from './lib/service.ts'

/** Until then V8 still makes room for what opening them leaves behind; that is not the price of a socket. */
const FIRST = 4000
const MEASURED = 2000
const FIRST_PERSON = 20_001
const SECRET = 'a secret that only the bench knows, long enough'

interface Door {
  readonly name: string
  readonly what: string
  /** Where the socket of this number comes in. */
  readonly path: (index: number) => string | Promise<string>
  readonly config?: object
}

const tokenOf = (index: number): string => listeners[index % listeners.length]?.access_token ?? ''
const keyOf = (index: number): string => `bench-key-of-listener-${index % listeners.length}`

const doors: readonly Door[] = [
  { name: 'memory', what: 'the Milky draft, at /', path: (index) => `/?access_token=${tokenOf(index)}` },
  { name: 'memory-event', what: 'Milky 1.2, at /event', path: (index) => `/event?access_token=${tokenOf(index)}` },
  {
    name: 'memory-people',
    what: 'IM-Suite, at /ws, each another person',
    path: async (index) => `/ws?token=${await signFor(FIRST_PERSON + index)}`,
    config: {
      im: { jwt_secret: SECRET },
      provision: {
        accounts: Array.from({ length: FIRST + MEASURED }, (_, index) => ({
          id: FIRST_PERSON + index,
          kind: 'person',
          nickname: `Person ${index}`
        }))
      }
    }
  },
  {
    name: 'memory-maim',
    what: 'maim_message, API-Server, each a road of its own',
    path: (index) => `/maim/ws?api_key=${keyOf(index)}&platform=p${index}`,
    config: {
      maim: { keys: listeners.map(({ id }, index) => ({ api_key: keyOf(index), account: id, chats: false })) }
    }
  }
]

export const memoryBenches: readonly Bench[] = doors.map((door) => ({
  name: door.name,
  what: `resident memory of one more idle signed-in socket, from ${FIRST} to ${FIRST + MEASURED}: ${door.what}`,
  figure: 'bytesPerSocket',
  more: ['bytesPerFirstSocket', 'liveBytesPerSocket'],
  isCold: true,
  goals: [{ figure: 'bytesPerSocket', atMost: 12 * 1024, says: '≤ 12 KiB' }],
  async prepare() {
    return { service: () => weigh(door), close: async () => {} }
  }
}))

async function weigh({ path, config }: Door) {
  const { child, port } = await startService({ ...(config && { config }) })
  const sockets: RawSocket[] = []

  async function weighWith(count: number): Promise<Memory> {
    const first = sockets.length
    sockets.push(...(await openRawSockets(count, async (index) => openRawSocket(port, await path(first + index)))))
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

/** As another server of IM-Suite with the same secret makes it. */
function signFor(person: number): Promise<string> {
  return new SignJWT({ user_id: person })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setExpirationTime('1d')
    .sign(new TextEncoder().encode(SECRET))
}
