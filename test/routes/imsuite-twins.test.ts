import t, { type Test } from 'tap'
import type { Running } from '../helpers/app.ts'
import { alice, bob, heardSoFar, openDevice, request, startPeople, tokenOf } from '../helpers/people.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

// What people change over REST is told exactly like what they, or a bot, change over a socket (the same actions).

interface Side {
  readonly app: Running
  /** Says something as Alice over REST, or over her socket. */
  readonly rest: (method: string, path: string, body?: object) => Promise<any>
  readonly frame: (type: string, payload: object) => Promise<void>
  /** Calls a draft action over the WebSocket of bot 10001. */
  readonly bot: (action: string, params: object) => Promise<void>
  /** The chat that this side does it in. */
  readonly chat: number
  /** A message of Alice there, and one of Bob. */
  readonly own: number
  readonly other: number
}

interface Twin {
  readonly name: string
  /** Types of the frames that Bob hears of it, with the extension and without. */
  readonly ext: string[]
  readonly base?: string[]
  readonly socket: (side: Side) => Promise<unknown>
  readonly rest: (side: Side) => Promise<unknown>
}

const twins: Twin[] = [
  {
    name: 'sending',
    ext: ['message.new'],
    socket: ({ frame, chat }) => frame('message.send', { chat_id: chat, content: 'hi' }),
    rest: ({ rest, chat }) => rest('POST', `/api/chats/${chat}/messages`, { content: 'hi' })
  },
  {
    name: 'sending, by the other path, a reply',
    ext: ['message.new'],
    socket: ({ frame, chat, other }) => frame('message.send', { chat_id: chat, content: 'hi', reply_to_id: other }),
    rest: ({ rest, chat, other }) => rest('POST', '/api/messages', { chat_id: chat, content: 'hi', reply_to_id: other })
  },
  {
    name: 'sending to somebody',
    ext: ['message.new'],
    socket: ({ frame }) => frame('message.send', { receiver_id: bob, content: 'hi' }),
    rest: ({ rest }) => rest('POST', '/api/messages/send', { receiver_id: bob, content: 'hi' })
  },
  {
    name: 'editing',
    ext: ['message.edit'],
    socket: ({ frame, own }) => frame('message.edit', { message_id: own, content: 'new' }),
    rest: ({ rest, own }) => rest('PUT', `/api/messages/${own}`, { content: 'new' })
  },
  {
    name: 'deleting',
    ext: ['message.delete'],
    socket: ({ frame, own }) => frame('message.delete', { message_id: own }),
    rest: ({ rest, own }) => rest('DELETE', `/api/messages/${own}`)
  },
  {
    name: 'taking back',
    ext: ['message.delete'],
    socket: ({ frame, own }) => frame('message.delete', { message_id: own }),
    rest: ({ rest, own }) => rest('POST', `/api/messages/${own}/recall`)
  },
  {
    name: 'reading',
    ext: ['message.read'],
    socket: ({ frame, other }) => frame('message.read', { message_id: other }),
    rest: ({ rest, other }) => rest('POST', `/api/messages/${other}/read`)
  },
  {
    name: 'reading a chat',
    ext: ['message.read'],
    socket: ({ frame, other }) => frame('message.read', { message_id: other }),
    rest: ({ rest, chat, other }) => rest('POST', `/api/chats/${chat}/read`, { message_id: other })
  },
  {
    name: 'typing, and stopping',
    ext: ['typing', 'typing'],
    async socket({ frame, chat }) {
      await frame('typing', { chat_id: chat, is_typing: true })
      await frame('typing', { chat_id: chat, is_typing: false })
    },
    async rest({ rest, chat }) {
      await rest('POST', '/api/messages/typing', { chat_id: chat })
      await rest('POST', '/api/messages/typing', { chat_id: chat, is_typing: false })
    }
  },
  {
    name: 'renaming',
    ext: ['chat.updated'],
    base: [],
    socket: ({ bot, chat }) => bot('set_group_name', { group_id: chat, name: 'New' }),
    rest: ({ rest, chat }) => rest('PUT', `/api/chats/${chat}`, { name: 'New' })
  },
  {
    name: 'muting all',
    ext: ['chat.updated'],
    base: [],
    socket: ({ bot, chat }) => bot('set_group_whole_mute', { group_id: chat, is_mute: true }),
    rest: ({ rest, chat }) => rest('PUT', `/api/chats/${chat}`, { is_muted: true })
  },
  {
    name: 'muting',
    ext: ['member.updated'],
    base: [],
    socket: ({ bot, chat }) => bot('set_group_member_mute', { group_id: chat, user_id: 10002, duration: 600 }),
    rest: ({ rest, chat }) => rest('POST', `/api/chats/${chat}/members/10002/mute`, { duration: 600 })
  },
  {
    name: 'making an admin',
    ext: ['member.updated'],
    base: [],
    socket: ({ bot, chat }) => bot('set_group_member_admin', { group_id: chat, user_id: 10002, is_set: true }),
    rest: ({ rest, chat }) => rest('PUT', `/api/chats/${chat}/members/10002`, { role: 'admin' })
  },
  {
    name: 'removing',
    ext: ['member.left'],
    base: [],
    socket: ({ bot, chat }) => bot('kick_group_member', { group_id: chat, user_id: 10002 }),
    rest: ({ rest, chat }) => rest('DELETE', `/api/chats/${chat}/members/10002`)
  },
  {
    name: 'banning is told as removing',
    ext: ['member.left'],
    base: [],
    socket: ({ bot, chat }) => bot('kick_group_member', { group_id: chat, user_id: 10002 }),
    rest: ({ rest, chat }) => rest('POST', `/api/chats/${chat}/members/10002/ban`)
  },
  {
    name: 'leaving',
    ext: ['member.left'],
    base: [],
    socket: ({ bot, chat }) => bot('quit_group', { group_id: chat }),
    rest: ({ rest, chat }) => rest('POST', `/api/chats/${chat}/leave`)
  }
]

for (const { name, ext, base = ext, socket, rest } of twins) {
  t.test(name, async (t) => {
    const { device, extDevice, overSocket, overRest } = await openSides(t)
    const heard = async (): Promise<[any[], any[]]> => [
      (await heardSoFar(device)).map((frame) => normal(frame)),
      (await heardSoFar(extDevice)).map((frame) => normal(frame))
    ]
    await heard()
    await socket(overSocket)
    const [baseBySocket, extBySocket] = await heard()
    await rest(overRest)
    const [baseByRest, extByRest] = await heard()
    t.strictSame(
      extBySocket.map(({ type }) => type),
      ext
    )
    t.strictSame(
      baseBySocket.map(({ type }) => type),
      base
    )
    t.strictSame(extByRest, extBySocket, 'with the extension')
    t.strictSame(baseByRest, baseBySocket, 'without')
  })
}

/** Two groups alike: in one bot 10001 and Alice's socket act, in the other Alice does over REST. Bob listens. */
async function openSides(t: Test) {
  const app = await startPeople(t, { limits: { im_message_burst: 1000, im_read_interval: 1 } })
  const [token, bobs] = [await tokenOf(alice), await tokenOf(bob)]
  const rest: Side['rest'] = async (method, path, body) => {
    const answer = await request(app, token, method, path, body)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const phone = await openDevice(t, app, alice)
  const botSocket = await openSocket(t, `${app.ws}/?access_token=token-one`)

  async function openSide(id: number, ownerId: number): Promise<Side> {
    const others = [alice, bob, 10001, 10002].filter((member) => member !== ownerId)
    const group = { id, name: 'Club', ownerId, adminIds: [], memberIds: others, createdAt: 1 }
    await app.lactea.gateway.store.addGroup(group)
    const path = `/api/chats/${id}/messages`
    const own = (await request(app, token, 'POST', path, { content: 'mine' })).body.id
    const other = (await request(app, bobs, 'POST', path, { content: 'theirs' })).body.id
    return { app, rest, frame: frameBy(phone), bot: callBy(botSocket), chat: id, own, other }
  }
  return {
    device: await openDevice(t, app, bob),
    extDevice: await openDevice(t, app, bob, { query: 'ext=1' }),
    overSocket: await openSide(200_001, 10001),
    overRest: await openSide(200_002, alice)
  }
}

/** Until the frame was worked on, since frames of one socket are worked on in order. */
function frameBy(phone: TestSocket): Side['frame'] {
  return async (type, payload) => {
    phone.send({ type, payload })
    const errors = (await heardSoFar(phone)).filter((frame) => frame.type === 'error')
    if (errors.length > 0) throw new Error(JSON.stringify(errors))
  }
}

function callBy(socket: TestSocket): Side['bot'] {
  return async (action, params) => {
    socket.send({ action, params, echo: action })
    const { data } = await socket.find((frame) => frame.post_type === 'action_response')
    if (data.retcode !== 0) throw new Error(JSON.stringify(data))
  }
}

const TIMED = /^(?:timestamp|.*_at|.*_until)$/
const COUNTED = /^(?:id|message_id|reply_to_id|event_seq|prev_event_seq|seq)$/

/** Without what differs between any two messages, chats and moments. */
function normal(value: any, key = ''): any {
  if (Array.isArray(value)) return value.map((item) => normal(item))
  if (TIMED.test(key) && value !== null) return 'TIME'
  if (key === 'chat_id' || COUNTED.test(key)) return 'NUMBER'
  if (key === 'operator_id' || (key === 'user_id' && (value === 10001 || value === alice))) return 'ACTOR'
  if (typeof value !== 'object' || value === null) return value
  // Who did it is a person here and a bot there; who said it is Alice in both.
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, normal(inner, name)]))
}
