import { SignJWT } from 'jose'
import { startBareServer } from './lib/bare-limit.ts'
import type { Bench, Subjects } from './lib/bench.ts'
import { measure, type Child } from './lib/child.ts'
import { createConversation, type Device } from './lib/conversation.ts'
import type { Memory } from './lib/probe.ts'
import { openRawSocket, openRawSockets } from './lib/raw-socket.ts'
import { startService } from './lib/service.ts'

const GROUP_SIZE = 20
/** Of each person. */
const DEVICES = 2
/** Messages per second in each group. */
const PACE = 2
const FIRST_PERSON = 20_001
const FIRST_GROUP = 200_001
const SECRET = 'a secret that only the bench knows, long enough'

const MORE = [
  'expectedPerSecond',
  'framesPerSecond',
  'lost',
  'maxMs',
  'echoP50Ms',
  'echoP99Ms',
  'loopMaxMs',
  'rssMiB',
  'rssPerSocketKiB',
  'idlePerSocketKiB',
  'loadShare',
  'loadStopMs'
]

/** As large as what the service sends. */
const EVENT = {
  type: 'message.new',
  payload: {
    message: {
      id: 100_000,
      chat_id: FIRST_GROUP,
      sender_id: FIRST_PERSON,
      content: '',
      message_type: 'text',
      created_at: '2025-10-07T12:00:00Z'
    },
    chat: { id: FIRST_GROUP, type: 'group', title: 'Group 200001' },
    sender: { id: FIRST_PERSON, nickname: 'Person 20001', avatar_url: '' }
  },
  timestamp: '2025-10-07T12:00:00Z'
}

/** `people`: how many are connected; they fill groups of twenty. */
export function peopleBenches(people: number): readonly Bench[] {
  const groups = Math.max(1, Math.round(people / GROUP_SIZE))
  return [bench('people', groups, false), bench('people-busy', groups, true)]
}

function bench(name: string, groups: number, isBusy: boolean): Bench {
  const load = `${groups * PACE} messages per second to ${groups * GROUP_SIZE} people with ${DEVICES} devices each`
  return {
    name,
    what: `${load}, in groups of ${GROUP_SIZE}${isBusy ? '; they type before, and mark as read' : ''}`,
    figure: 'perSecond',
    more: MORE,
    goals: [{ figure: 'lost', atMost: 0, inEveryRound: true, says: 'every device hears every message' }],
    async prepare() {
      const { child, port } = await startService({ config: worldOf(groups) })
      const tokens = await Promise.all(Array.from({ length: groups * GROUP_SIZE }, (_, index) => tokenOf(index)))
      const ours = await openCrowd(child, port, {
        groups,
        isBusy,
        pathOf: ({ person }) => `/ws?token=${tokens[person]}`
      })
      // What only sends has no words for typing and read marks.
      if (isBusy) return ours

      const limit = await startBareServer('serveGroups', EVENT)
      const theirs = await openCrowd(limit.child, limit.port, { groups, isBusy, pathOf: ({ group }) => `/${group}` })
      return {
        service: ours.service,
        bare: theirs.service,
        async close() {
          await Promise.all([ours.close(), theirs.close()])
        }
      }
    }
  }
}

interface CrowdOptions {
  readonly groups: number
  readonly isBusy: boolean
  readonly pathOf: (place: Place) => string
}

/** Everybody with all devices, and what they cost. */
async function openCrowd(child: Child, port: number, { groups, isBusy, pathOf }: CrowdOptions): Promise<Subjects> {
  const kibOf = ({ rss }: Memory): number => rss / 1024
  const empty = kibOf(await child.ask<Memory>('memory'))
  const devices = await openDevices(port, groups, pathOf)
  const idle = kibOf(await child.ask<Memory>('memory'))
  const converse = createConversation({ devices, firstGroup: FIRST_GROUP, perSecond: groups * PACE, isBusy })
  return {
    async service(seconds) {
      const figures = await measure(child, () => converse(seconds))
      const { rssMiB = 0 } = figures
      return {
        ...figures,
        rssPerSocketKiB: (rssMiB * 1024 - empty) / devices.length,
        idlePerSocketKiB: (idle - empty) / devices.length
      }
    },
    async close() {
      for (const { socket } of devices) socket.close()
      await child.stop()
    }
  }
}

/** Nobody has a password: checking thousands would take minutes. */
function worldOf(groups: number) {
  const ids = Array.from({ length: groups * GROUP_SIZE }, (_, index) => FIRST_PERSON + index)
  return {
    im: { jwt_secret: SECRET },
    provision: {
      accounts: ids.map((id) => ({ id, kind: 'person', nickname: `Person ${id}` })),
      groups: Array.from({ length: groups }, (_, group) => {
        const [owner, ...members] = ids.slice(group * GROUP_SIZE, (group + 1) * GROUP_SIZE)
        return { id: FIRST_GROUP + group, name: `Group ${FIRST_GROUP + group}`, owner, members }
      })
    }
  }
}

/** As another server of IM-Suite with the same secret makes it. */
function tokenOf(person: number): Promise<string> {
  return new SignJWT({ user_id: FIRST_PERSON + person })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setExpirationTime('1d')
    .sign(new TextEncoder().encode(SECRET))
}

type Place = Omit<Device, 'socket'>

/** Those of one group lie together, and of these those of one person. */
async function openDevices(port: number, groups: number, pathOf: (place: Place) => string): Promise<Device[]> {
  const perGroup = GROUP_SIZE * DEVICES
  const places = Array.from({ length: groups * perGroup }, (_, index) => ({
    group: Math.floor(index / perGroup),
    person: Math.floor(index / DEVICES),
    slot: index % perGroup,
    isMain: index % DEVICES === 0
  }))
  const sockets = await openRawSockets(places.length, (index) => openRawSocket(port, pathOf(places[index] as Place)))
  return sockets.map((socket, index) => ({ ...(places[index] as Place), socket }))
}
