import type { Test } from 'tap'
import { CALL_FRAMES } from '../../src/protocols/imsuite-frames.ts'
import { routesOf } from '../helpers/routes.ts'
import type { Running } from '../helpers/app.ts'
import { startPeople } from '../helpers/people.ts'
import { ask, type Answer } from '../helpers/person.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { fault } from './lab/fault.ts'

const alice = 10011
const bob = 10012
const carol = 10013
/** Stands in everything that Alice and Bob have said to each other, and nowhere else. */
const CANARY = 'CANARY'
const PHONE = '+4915550001234'

const accounts = ['alice', 'bob', 'carol', 'dave'].map((username, index) => ({
  id: alice + index,
  kind: 'person',
  username,
  password: `${username}-secret`,
  nickname: username,
  ...(username === 'bob' && { phone: PHONE })
}))

fault({
  number: 38,
  title: 'one person with the ids of another, at every route and with every frame',
  mark: "Horizontal access: user A on every route and event with B's ids (generated from OpenAPI + AsyncAPI): 0 leaks.",
  async run({ t, figure }) {
    const stage = await setStage(t)
    const { app, tokens } = stage
    const routes = routesOf(app).filter((route) => !OTHERS.test(route))
    const missing = routes.filter((route) => !(route in CASES))
    t.strictSame(missing, [], 'every route has a case: who may not reach what of whom?')
    t.strictSame(
      Object.keys(CASES).filter((route) => !routes.includes(route)),
      [],
      'every case has a route'
    )

    let [asked, leaks, allowed] = [0, 0, 0]
    async function probe(kinds: readonly Kind[]): Promise<void> {
      for (const route of routes) {
        const [kind, ...asks] = CASES[route] ?? ['refused']
        if (!kinds.includes(kind)) continue
        for (const { path, body } of asksOf(route, asks, stage)) {
          const [method = ''] = route.split(' ')
          const answer = await ask(app, method, path, { token: tokens.carol, ...(body && { body }) })
          const said = `${method} ${path} ${JSON.stringify(body ?? {})} gives ${answer.status}`
          asked++
          if (holdsCanary(answer)) {
            leaks++
            t.fail(`${said}, which leaks`, { found: answer.body })
          }
          if (kind === 'refused' && !isRefused(answer)) {
            allowed++
            t.fail(said, { found: answer.body })
          }
        }
      }
    }

    const before = await readAll(stage)
    t.ok(JSON.stringify(before).includes(CANARY), 'there is something to find')
    await probe(['refused', 'own'])
    const frames = await probeFrames(t, stage)
    t.strictSame(await readAll(stage), before, 'nothing of theirs has changed')
    const heard = [stage.sockets.alice, stage.sockets.bob].flatMap((socket) => socket.waiting())
    figure('frames that the others heard of it', heard.length, { is: 0 })
    // These reach others by their nature, as adding somebody as a contact does; they show nothing all the same.
    await probe(['reaches', 'ends'])

    figure('routes', routes.length, { atLeast: 80 })
    figure('calls with ids of others', asked + frames.asked, { atLeast: 150 })
    figure('leaks', leaks + frames.leaks, { is: 0 })
    figure('calls that were let through', allowed + frames.allowed, { is: 0 })

    const shut = await provesItself(stage, routes)
    t.strictSame(shut, [], 'the ids are good: their owners reach all of it')
  }
})

/**
 * `refused`: with ids of others it is answered 403 or 404. `own`: about whoever calls. `reaches`: others may hear of it;
 * last. `ends`: ends what the caller calls with; at the very end.
 */
type Kind = 'refused' | 'own' | 'reaches' | 'ends'

/** What is called with instead of the path with every id of others, or as the body of it. */
interface Ask {
  readonly path?: string
  readonly body?: object
}
type MakeAsk = (stage: Stage) => Ask | readonly Ask[]

/** Not of people: bots, brains, operations and pages have tokens of their own; sockets are below. */
const OTHERS =
  /^\w+ \/(?:$|:api|api\/:api|event|health|live|ready|metrics|chat|console|maim|(?:im\/)?ws\/?$|\*|api\/\*|api\/admin\/(?!notifications))/

const body =
  (given: object | ((stage: Stage) => object)): MakeAsk =>
  (stage) => ({ body: typeof given === 'function' ? given(stage) : given })
const say = { content: 'from Carol' }

const CASES: Record<string, [Kind, ...MakeAsk[]]> = {
  'POST /api/auth/register': ['own', body({ username: 'bob', password: 'carol-secret' })],
  'POST /api/auth/login': ['own', body({ username: 'bob', password: 'carol-secret' })],
  'POST /api/auth/refresh': ['own'],
  'POST /api/auth/logout': ['ends'],
  'POST /api/auth/logout-all': ['ends'],
  'PUT /api/users/me/password': ['own', body({ old_password: 'bob-secret', new_password: 'carol-secret' })],
  'POST /api/auth/ws-ticket': ['own'],
  'GET /api/auth/validate': ['own'],
  'GET /api/users/me': ['own'],
  'PUT /api/users/me': [
    'refused',
    ({ files }) => files.map((id) => ({ body: { avatar_url: `/api/files/${id}/x.png` } }))
  ],
  'GET /api/users/me/likes': ['own'],
  'POST /api/users/:id/likes': ['reaches'],
  'GET /api/users/:id': ['own'],
  'GET /api/users/search': [
    'own',
    () => [{ path: `/api/users/search?keyword=${CANARY}` }, { path: '/api/users/search?keyword=bob' }]
  ],
  'GET /api/users/by-phone/:phone': ['own'],
  'GET /api/users/friends': ['own'],
  'GET /api/contacts': ['own', () => ({ path: `/api/contacts?search=${CANARY}` })],
  'POST /api/contacts': ['reaches', body({ user_id: bob, remark: 'Bob' })],
  'GET /api/contacts/:id': ['refused'],
  'PUT /api/contacts/:id': ['refused', body({ remark: 'mine' })],
  'DELETE /api/contacts/:id': ['refused'],
  'GET /api/contacts/blocked': ['own'],
  'POST /api/contacts/:id/block': ['reaches'],
  'DELETE /api/contacts/:id/block': ['own'],
  'GET /api/chats': ['own'],
  'POST /api/chats': ['reaches', body({ type: 'group', name: 'Mine', members: [bob] })],
  'GET /api/chats/:id': ['refused'],
  'PUT /api/chats/:id': ['refused', body({ name: 'Mine' })],
  'POST /api/chats/:id/leave': ['refused'],
  'POST /api/chats/:id/nudge': [
    'refused',
    body({ user_id: bob }),
    ({ ownChat }) => ({ path: `/api/chats/${ownChat}/nudge`, body: { user_id: bob } })
  ],
  'PUT /api/chats/:id/pin': ['refused'],
  'DELETE /api/chats/:id/pin': ['refused'],
  'POST /api/chats/:id/read': [
    'refused',
    body(({ messages: [message_id] }) => ({ message_id })),
    ({ ownChat, messages: [message_id] }) => ({ path: `/api/chats/${ownChat}/read`, body: { message_id } })
  ],
  'GET /api/chats/:id/messages': ['refused'],
  'POST /api/chats/:id/messages': ['refused', body(say)],
  'GET /api/chats/:id/members': ['refused'],
  'POST /api/chats/:id/members': ['refused', body({ user_ids: [carol] })],
  'PUT /api/chats/:id/members/:user_id': ['refused', body({ card: 'mine' }), body({ role: 'owner' })],
  'DELETE /api/chats/:id/members/:user_id': [
    'refused',
    ({ ownChat }) => ({ path: `/api/chats/${ownChat}/members/${bob}` }),
    () => ({})
  ],
  'POST /api/chats/:id/members/:user_id/mute': ['refused', body({ duration: 600 })],
  'POST /api/chats/:id/members/:user_id/unmute': ['refused'],
  'DELETE /api/chats/:id/members/:user_id/mute': ['refused'],
  'POST /api/chats/:id/members/:user_id/ban': ['refused'],
  'DELETE /api/chats/:id/members/:user_id/ban': ['refused'],
  'GET /api/chats/:id/bans': ['refused'],
  'POST /api/chats/:id/requests': ['reaches', body({ comment: 'let me in' })],
  'GET /api/chats/:id/requests': ['refused'],
  'POST /api/chats/:id/requests/:seq/accept': ['refused', nested('requests', 'accept'), () => ({})],
  'POST /api/chats/:id/requests/:seq/reject': ['refused', nested('requests', 'reject'), () => ({})],
  'POST /api/chats/:id/invitations': ['refused', body({ user_id: carol })],
  'GET /api/invitations': ['own'],
  'POST /api/invitations/:seq/accept': ['refused'],
  'POST /api/invitations/:seq/reject': ['refused'],
  'GET /api/chats/:id/announcements': ['refused'],
  'POST /api/chats/:id/announcements': [
    'refused',
    body(say),
    ({ ownChat, files: [file_id] }) => ({ path: `/api/chats/${ownChat}/announcements`, body: { ...say, file_id } })
  ],
  'DELETE /api/chats/:id/announcements/:announcement_id': [
    'refused',
    ({ ownChat, announcement }) => ({ path: `/api/chats/${ownChat}/announcements/${announcement}` }),
    () => ({})
  ],
  'GET /api/chats/:id/essence': ['refused'],
  'GET /api/chats/:id/files': [
    'refused',
    () => ({}),
    ({ ownChat, folder }) => ({ path: `/api/chats/${ownChat}/files?folder_id=${folder}` })
  ],
  'PUT /api/chats/:id/files/:file_id': [
    'refused',
    body({ name: 'mine.txt' }),
    ({ ownChat, files }) =>
      files.map((id) => ({ path: `/api/chats/${ownChat}/files/${id}`, body: { name: 'mine.txt' } }))
  ],
  'DELETE /api/chats/:id/files/:file_id': [
    'refused',
    () => ({}),
    ({ ownChat, files }) => files.map((id) => ({ path: `/api/chats/${ownChat}/files/${id}` }))
  ],
  'POST /api/chats/:id/folders': ['refused', body({ name: 'mine' })],
  'PUT /api/chats/:id/folders/:folder_id': [
    'refused',
    body({ name: 'mine' }),
    ({ ownChat, folder }) => ({ path: `/api/chats/${ownChat}/folders/${folder}`, body: { name: 'mine' } })
  ],
  'DELETE /api/chats/:id/folders/:folder_id': [
    'refused',
    () => ({}),
    ({ ownChat, folder }) => ({ path: `/api/chats/${ownChat}/folders/${folder}` })
  ],
  'POST /api/messages': ['refused', sendings],
  'POST /api/messages/send': ['refused', sendings],
  'GET /api/messages': ['refused', ({ chats }) => chats.map((id) => ({ path: `/api/messages?chat_id=${id}` }))],
  'GET /api/messages/:id': ['refused'],
  'PUT /api/messages/:id': ['refused', body(say)],
  'DELETE /api/messages/:id': ['refused'],
  'POST /api/messages/:id/recall': ['refused'],
  'POST /api/messages/:id/read': ['refused'],
  'GET /api/messages/:id/forwards': ['refused'],
  'PUT /api/messages/:id/essence': ['refused'],
  'DELETE /api/messages/:id/essence': ['refused'],
  'GET /api/messages/:id/reactions': ['refused'],
  'PUT /api/messages/:id/reactions/:reaction': ['refused'],
  'DELETE /api/messages/:id/reactions/:reaction': ['refused'],
  'GET /api/messages/:id/edits': ['refused'],
  'GET /api/messages/unread/count': [
    'refused',
    ({ chats }) => chats.map((id) => ({ path: `/api/messages/unread/count?chat_id=${id}` }))
  ],
  'POST /api/messages/typing': ['refused', ({ chats }) => chats.map((chat_id) => ({ body: { chat_id } }))],
  'GET /api/messages/dialogs': ['own'],
  'GET /api/notifications': ['own', () => ({ path: '/api/notifications?after=0' })],
  'POST /api/admin/notifications': ['refused', body({ title: 'From Carol', message: 'hello' })],
  'POST /api/files/upload': ['own'],
  'GET /api/files/:id': ['refused'],
  'DELETE /api/files/:id': ['refused'],
  'GET /api/files/:id/download': ['refused'],
  'GET /api/files/:id/preview': ['refused'],
  'GET /api/files/:id/:name': [
    'refused',
    () => ({}),
    ({ files }) => files.map((id) => ({ path: `/api/files/${id}/x.txt?exp=253402300799&sig=AAAA` }))
  ],
  'GET /api/calls': ['own'],
  'POST /api/calls/:id/end': ['refused'],
  'GET /api/calls/ice-servers': ['own']
}

/** A frame with ids of others, and whether it is refused; else it is about whoever sends it. */
const FRAMES: Record<string, [kind: 'refused' | 'own', make: (stage: Stage) => readonly object[]]> = {
  'message.send': ['refused', (stage) => sendings(stage).map((one) => one.body)],
  'message.edit': ['refused', ({ messages }) => messages.map((message_id) => ({ message_id, ...say }))],
  'message.delete': ['refused', ({ messages }) => messages.map((message_id) => ({ message_id }))],
  'message.read': ['refused', ({ messages }) => messages.map((message_id) => ({ message_id }))],
  'message.delivered': ['refused', ({ messages }) => messages.map((message_id) => ({ message_id }))],
  typing: ['refused', ({ chats }) => chats.map((chat_id) => ({ chat_id }))],
  presence: ['own', () => [{ user_id: bob, is_online: false }]],
  'presence.subscribe': ['own', () => [{ user_ids: [alice, bob] }]],
  'call.offer': [
    'refused',
    ({ call }) => [
      { to_user: bob, call_type: 'audio', sdp: 'v=0' },
      { to_user: bob, call_type: 'audio', sdp: 'v=0', call_id: call }
    ]
  ],
  'call.answer': ['refused', ({ call }) => [{ call_id: call, sdp: 'v=0' }]],
  'call.ice': ['refused', ({ call }) => [{ call_id: call, ice_candidate: { candidate: '' } }]],
  'call.end': ['refused', ({ call }) => [{ call_id: call }]],
  sync: ['own', ({ chats }) => [{ known: Object.fromEntries(chats.map((id) => [id, 0])), limit: 200 }]],
  'auth.refresh': ['refused', () => [{ token: 'nonsense' }]],
  auth: ['refused', () => [{ token: 'nonsense' }]],
  ping: ['own', () => [{}]]
}

/** Says something in chats of others, or shows something of theirs in its own. */
function sendings({ chats, ownChat, files, messages }: Stage): { readonly body: object }[] {
  return [
    ...chats.map((chat_id) => ({ body: { chat_id, ...say } })),
    ...files.flatMap((file_id) => [
      { body: { chat_id: ownChat, message_type: 'file', file_id, ...say } },
      { body: { chat_id: ownChat, message_type: 'file', file_url: `/api/files/${file_id}/x.txt`, ...say } }
    ]),
    ...messages.map((reply_to_id) => ({ body: { chat_id: ownChat, reply_to_id, ...say } }))
  ]
}

/** In the caller's own group, what belongs to theirs. */
function nested(what: string, verb: string): MakeAsk {
  return ({ ownChat, request }) => ({ path: `/api/chats/${ownChat}/${what}/${request}/${verb}` })
}

interface Stage {
  readonly app: Running
  readonly tokens: Readonly<Record<'alice' | 'bob' | 'carol' | 'dave', string>>
  readonly sockets: Readonly<Record<'alice' | 'bob' | 'carol', TestSocket>>
  /** Of Alice and Bob: what they say in private, and a group. */
  readonly chats: readonly number[]
  readonly messages: readonly number[]
  readonly files: readonly number[]
  readonly folder: number
  readonly announcement: number
  /** Dave's, to be let into the group. */
  readonly request: number
  /** Into a group of Bob's, for Alice. */
  readonly invitation: number
  readonly call: string
  /** A group of Carol's, who has it for herself. */
  readonly ownChat: number
}

async function setStage(t: Test): Promise<Stage> {
  const limits = { im_ring_timeout: 600_000, im_message_burst: 1000, im_frame_burst: 1000, im_offer_burst: 100 }
  const app = await startPeople(t, { provision: { accounts }, limits })
  const { store, accounts: core } = app.lactea.gateway
  await core.befriend(alice, bob)
  const signIn = (name: string): Promise<string> => app.signIn(name, `${name}-secret`)
  const tokens = {
    alice: await signIn('alice'),
    bob: await signIn('bob'),
    carol: await signIn('carol'),
    dave: await signIn('dave')
  }
  async function as(who: keyof typeof tokens, method: string, path: string, body?: object): Promise<any> {
    const answer = await ask(app, method, `/api/${path}`, { token: tokens[who], ...(body && { body }) })
    if (answer.status >= 300) throw new Error(`${method} ${path} gave ${answer.status}: ${JSON.stringify(answer.body)}`)
    return answer.body.data ?? answer.body
  }
  const idIn = (found: any): number => found.id ?? found.message?.id ?? found.chat?.id
  const upload = async (name: string): Promise<number> => {
    const form = new FormData()
    form.append('file', new Blob([`${CANARY} ${name}`]), `${CANARY} ${name}.txt`)
    const headers = { authorization: `Bearer ${tokens.alice}` }
    const response = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
    return ((await response.json()) as { id: number }).id
  }

  const said = await as('alice', 'POST', 'messages', { receiver_id: bob, content: `${CANARY} in private` })
  const privately = said.chat_id ?? said.message.chat_id
  const group = idIn(
    await as('alice', 'POST', 'chats', {
      type: 'group',
      name: `${CANARY} group`,
      description: `${CANARY} about`,
      members: [bob]
    })
  )
  const inGroup = idIn(await as('alice', 'POST', `chats/${group}/messages`, { content: `${CANARY} before the edit` }))
  await as('alice', 'PUT', `messages/${inGroup}`, { content: `${CANARY} in the group` })
  await as('alice', 'PUT', `messages/${inGroup}/essence`)
  await as('bob', 'PUT', `messages/${inGroup}/reactions/128077`)
  const files = [await upload('private'), await upload('group'), await upload('unsent')]
  const shown = await as('alice', 'POST', `chats/${privately}/messages`, { message_type: 'file', file_id: files[0] })
  await as('alice', 'POST', `chats/${group}/messages`, { message_type: 'file', file_id: files[1] })
  const folder = (await as('alice', 'POST', `chats/${group}/folders`, { name: `${CANARY} folder` })) as any
  const announced = await as('alice', 'POST', `chats/${group}/announcements`, { content: `${CANARY} announced` })
  await as('alice', 'POST', 'contacts', { user_id: bob, remark: `${CANARY} remark` })
  const asked = await as('dave', 'POST', `chats/${group}/requests`, { comment: `${CANARY} let me in` })
  const second = idIn(await as('bob', 'POST', 'chats', { type: 'group', name: `${CANARY} second` }))
  const invited = await as('bob', 'POST', `chats/${second}/invitations`, { user_id: alice })
  await store.setAdmin(alice, true)
  await as('alice', 'POST', 'admin/notifications', { title: `${CANARY} notice`, message: 'hear', to: ['alice', 'bob'] })
  await store.setAdmin(alice, false)
  const ownChat = idIn(await as('carol', 'POST', 'chats', { type: 'group', name: 'Carol alone' }))

  const open = (who: keyof typeof tokens): Promise<TestSocket> =>
    openSocket(t, `${app.ws}/ws?ext=1&token=${tokens[who]}`)
  const sockets = { alice: await open('alice'), bob: await open('bob'), carol: await open('carol') }
  sockets.alice.send({ type: 'call.offer', payload: { to_user: bob, call_type: 'audio', sdp: `v=0 ${CANARY}` } })
  const ringing = await sockets.bob.find(({ type }) => type === 'call.offer')
  for (const socket of Object.values(sockets)) await settle(socket)

  const idOf = (found: any, ...names: string[]): number => {
    for (const one of [found, ...Object.values(found)] as any[])
      for (const name of ['id', 'seq', 'request_id', ...names]) if (typeof one?.[name] === 'number') return one[name]
    throw new Error(`no id in ${JSON.stringify(found)}`)
  }
  return {
    app,
    tokens,
    sockets,
    chats: [privately, group],
    messages: [idIn(said), inGroup, idIn(shown)],
    files,
    folder: idOf(folder, 'folder_id'),
    announcement: idOf(announced, 'announcement_id'),
    request: idOf(asked),
    invitation: idOf(invited),
    call: ringing.payload.call_id,
    ownChat
  }
}

/** Everything that was caused until now has come, and is taken. Signals go out in turns of their own, hence two. */
async function settle(socket: TestSocket): Promise<any[]> {
  const heard: any[] = []
  for (const mark of ['settled 1', 'settled 2']) {
    socket.send({ type: 'ping', payload: { timestamp: mark } })
    for (let frame = await socket.next(); frame.payload.timestamp !== mark; frame = await socket.next())
      heard.push(frame)
  }
  return heard
}

/** Where each placeholder of a path leads to what is not the caller's. */
function idsFor(route: string, name: string, stage: Stage): readonly (string | number)[] {
  if (name === 'id') {
    const [, kind = ''] = /\/api\/(\w+)/.exec(route) ?? []
    const ids = {
      chats: stage.chats,
      messages: stage.messages,
      files: stage.files,
      calls: [stage.call],
      users: [bob],
      contacts: [bob]
    }
    return ids[kind as keyof typeof ids]
  }
  const others = {
    user_id: [bob],
    seq: [route.includes('/api/invitations') ? stage.invitation : stage.request],
    announcement_id: [stage.announcement],
    file_id: stage.files,
    folder_id: [stage.folder],
    reaction: ['128077'],
    name: ['x.txt'],
    phone: [encodeURIComponent(PHONE)]
  }
  return others[name as keyof typeof others]
}

function pathsOf(route: string, stage: Stage): string[] {
  const [, template = ''] = route.split(' ')
  let paths = [template]
  for (const [placeholder, name = ''] of template.matchAll(/:(\w+)/g))
    paths = paths.flatMap((path) => idsFor(route, name, stage).map((id) => path.replace(placeholder, String(id))))
  return paths
}

function asksOf(route: string, makers: readonly MakeAsk[], stage: Stage): { path: string; body?: object }[] {
  const paths = pathsOf(route, stage)
  const asks = makers.length === 0 ? [{}] : makers.flatMap((make) => make(stage))
  return asks.flatMap(({ path, body }: Ask) =>
    (path === undefined ? paths : [path]).map((one) => ({ path: one, ...(body && { body }) }))
  )
}

/** What is answered to is looked for in the chat of the answer alone: it is a mistake of whoever answers. */
function isRefused({ status, body }: Answer): boolean {
  return status === 403 || status === 404 || (status === 400 && body.details?.field === 'reply_to_id')
}

function holdsCanary({ body }: Answer): boolean {
  const text = JSON.stringify(body)
  return text.includes(CANARY) || text.includes(PHONE)
}

async function probeFrames(t: Test, stage: Stage): Promise<{ asked: number; leaks: number; allowed: number }> {
  const { carol: socket } = stage.sockets
  t.strictSame(
    [...CALL_FRAMES, 'sync', 'auth.refresh', 'auth', 'ping'].toSorted(),
    Object.keys(FRAMES).toSorted(),
    'every frame has a case'
  )
  let [asked, leaks, allowed] = [0, 0, 0]
  for (const [type, [kind, make]] of Object.entries(FRAMES)) {
    for (const payload of make(stage)) {
      asked++
      const id = `probe ${asked}`
      socket.send({ type, id, payload })
      const heard = await settle(socket)
      const said = `${type} ${JSON.stringify(payload)}`
      if (heard.some((frame) => JSON.stringify(frame).includes(CANARY))) {
        leaks++
        t.fail(`${said} leaks`, { found: heard })
      }
      if (heard.some((frame) => frame.type === 'presence.snapshot' && JSON.stringify(frame).includes('true'))) {
        leaks++
        t.fail(`${said} tells who is online`, { found: heard })
      }
      const isRefused = heard.some((frame) => frame.type === 'error' && frame.payload.details?.request_id === id)
      if (kind === 'refused' && !isRefused) {
        allowed++
        t.fail(said, { found: heard })
      }
    }
  }
  return { asked, leaks, allowed }
}

/** All that Alice and Bob see, without what changes by itself. */
async function readAll({ app, tokens, chats, messages, files, call }: Stage): Promise<unknown> {
  const paths = [
    'users/me',
    'users/me/likes',
    'contacts',
    'contacts/blocked',
    'chats',
    'messages/dialogs',
    'messages/unread/count',
    'notifications',
    'invitations',
    'calls',
    ...chats.flatMap((id) => [`chats/${id}`, `chats/${id}/messages`, `chats/${id}/members`]),
    ...['files', 'announcements', 'essence', 'requests', 'bans'].map((what) => `chats/${chats[1]}/${what}`),
    ...messages.flatMap((id) => [`messages/${id}`, `messages/${id}/reactions`, `messages/${id}/edits`]),
    ...files.map((id) => `files/${id}`)
  ]
  const seen: Record<string, unknown> = { call }
  for (const who of ['alice', 'bob'] as const)
    for (const path of paths) {
      const { status, body } = await ask(app, 'GET', `/api/${path}`, { token: tokens[who] })
      const text = JSON.stringify(body, (key, value) => (key === 'last_seen' ? undefined : value))
      seen[`${who} ${path}`] = [status, JSON.parse(text.replaceAll(/\?exp=\d+&sig=[\w-]+/g, ''))]
    }
  return seen
}

/** Reading routes that are closed to their owners, too: then a refusal above would prove nothing. */
async function provesItself(stage: Stage, routes: readonly string[]): Promise<string[]> {
  const shut: string[] = []
  for (const route of routes.filter((one) => one.startsWith('GET ') && CASES[one]?.[0] === 'refused')) {
    for (const path of pathsOf(route, stage)) {
      if (!path.includes('/')) continue
      const headers = { authorization: `Bearer ${stage.tokens.alice}` }
      const wanted = route === 'GET /api/messages' ? `${path}?chat_id=${stage.chats[0]}` : path
      const response = await fetch(`${stage.app.url}${wanted}`, { headers })
      await response.arrayBuffer()
      // A private chat has neither files nor essence, bans or requests; a message that is none passes nothing on.
      const isNothingThere = response.status === 404 && /forwards|chats\/\d{10}/.test(path)
      if (response.status !== 200 && !isNothingThere) shut.push(`${wanted}: ${response.status}`)
    }
  }
  return shut
}
