import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'
import { openStage, type Stage } from '../helpers/milky-catalogue.ts'
import { png, wav } from '../helpers/pictures.ts'
import { openSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { world } from '../helpers/app.ts'

const TIMES = 1000
/** Cycles that run at the same time; a page of history holds the messages of all of them. */
const AT_ONCE = 24

const [one, two, GROUP] = [10001, 10002, 100001]
const group = { group_id: GROUP }
const base64 = (bytes: Uint8Array): string => `base64://${Buffer.from(bytes).toString('base64')}`

/** A picture that no other cycle shows. */
const picture = (index: number, kind: number): string =>
  base64(Buffer.concat([png(1 + kind, 1), Buffer.from(`${kind}:${index}`)]))

/** What one bot does, and how it is undone; each leaves everything as it was. */
type Cycle = (stage: Stage, index: number) => Promise<void>

const readers: readonly (readonly [action: string, params: object])[] = [
  ['get_login_info', {}],
  ['get_impl_info', {}],
  ['get_user_profile', { user_id: two }],
  ['get_friend_list', {}],
  ['get_friend_info', { user_id: two }],
  ['get_group_list', {}],
  ['get_group_info', group],
  ['get_group_member_list', group],
  ['get_group_member_info', { ...group, user_id: two }],
  ['get_peer_pins', {}],
  ['get_custom_face_url_list', {}],
  ['get_history_messages', { message_scene: 'group', peer_id: GROUP }],
  ['get_friend_requests', {}],
  ['get_group_announcements', group],
  ['get_group_essence_messages', { ...group, page_index: 0, page_size: 5 }],
  ['get_group_notifications', {}],
  ['get_group_files', group]
]

const sayAndRecall = async ({ act }: Stage, message: object[], between?: (seq: number) => Promise<unknown>) => {
  const { message_seq } = await act(one, 'send_group_message', { ...group, message })
  await between?.(message_seq)
  await act(one, 'recall_group_message', { ...group, message_seq })
}

/** People who come and go, one for each cycle that runs at the same time. */
let people: number[] = []
const personOf = (index: number): number => people[index % AT_ONCE] as number

async function requestOf({ act, app }: Stage, id: number): Promise<object> {
  const { store } = app.lactea.gateway
  const before = await store.lastEventId()
  await act(id, 'request_group_join', group)
  const { events } = await store.readEvents(one, before, 10_000)
  const mine = events.find((event) => event.kind === 'group.requested' && event.data.initiatorId === id)
  if (mine?.kind !== 'group.requested') throw new Error('the request is missing')
  return { ...group, notification_seq: mine.data.requestSeq, notification_type: 'join_request' }
}

const cycles: Readonly<Record<string, Cycle>> = {
  pins: async ({ act }, index) => {
    await act(one, 'set_peer_pin', { message_scene: 'friend', peer_id: two, is_pinned: index % 2 === 0 })
    await act(one, 'set_peer_pin', { message_scene: 'friend', peer_id: two, is_pinned: false })
  },
  profile: async ({ act }, index) => {
    await act(one, 'set_avatar', { uri: picture(index, 1) })
    await act(one, 'set_nickname', { new_nickname: `One ${index}` })
    await act(one, 'set_bio', { new_bio: `${index}` })
  },
  pictures: (stage, index) =>
    sayAndRecall(stage, [{ type: 'image', data: { uri: picture(index, 2) } }], async (seq) => {
      await stage.act(two, 'mark_message_as_read', { message_scene: 'group', peer_id: GROUP, message_seq: seq })
    }),
  stickers: (stage, index) =>
    sayAndRecall(stage, [{ type: 'image', data: { uri: picture(index, 3), sub_type: 'sticker' } }]),
  voice: (stage, index) =>
    sayAndRecall(stage, [{ type: 'record', data: { uri: base64(Buffer.concat([wav(), Buffer.from(`${index}`)])) } }]),
  forwards: (stage, index) => {
    const inner = [
      { user_id: two, sender_name: 'Two', segments: [{ type: 'image', data: { uri: picture(index, 4) } }] }
    ]
    const outer = [{ user_id: two, sender_name: 'Two', segments: [{ type: 'forward', data: { messages: inner } }] }]
    return sayAndRecall(stage, [{ type: 'forward', data: { messages: outer } }])
  },
  nudges: async ({ act }) => {
    await act(one, 'send_friend_nudge', { user_id: two })
    await act(one, 'send_group_nudge', { ...group, user_id: two })
  },
  likes: async ({ act }) => {
    await act(one, 'send_profile_like', { user_id: two }).catch(() => {})
  },
  friends: async ({ act }, index) => {
    const id = personOf(index)
    await act(id, 'add_contact', { user_id: one })
    const answer = index % 2 === 0 ? 'accept_friend_request' : 'reject_friend_request'
    await act(one, answer, { initiator_uid: String(id) })
    await act(id, 'remove_contact', { user_id: one })
  },
  settings: async ({ act }, index) => {
    const member = { ...group, user_id: two }
    await act(one, 'set_group_name', { ...group, new_group_name: `Name ${index}` })
    await act(one, 'set_group_member_card', { ...member, card: `${index}` })
    await act(one, 'set_group_member_special_title', { ...member, special_title: `${index}` })
    await act(one, 'set_group_member_admin', { ...member, is_set: index % 2 === 0 })
    await act(one, 'set_group_member_mute', { ...member, duration: index })
    await act(one, 'set_group_whole_mute', { ...group, is_mute: index % 2 === 0 })
    await act(one, 'set_group_avatar', { ...group, image_uri: picture(index, 5) })
  },
  announcements: async ({ act }, index) => {
    const content = `news ${index}`
    await act(one, 'send_group_announcement', { ...group, content, image_uri: picture(index, 6) })
    const { announcements } = await act(one, 'get_group_announcements', group)
    const mine = announcements.find((announcement: { content: string }) => announcement.content === content)
    await act(one, 'delete_group_announcement', { ...group, announcement_id: mine.announcement_id })
  },
  marks: (stage) =>
    sayAndRecall(stage, text('marked'), async (message_seq) => {
      const message = { ...group, message_seq }
      await stage.act(one, 'set_group_essence_message', message)
      await stage.act(one, 'send_group_message_reaction', { ...message, reaction: '14' })
      await stage.act(one, 'send_group_message_reaction', { ...message, reaction: '15' })
      await stage.act(one, 'send_group_message_reaction', { ...message, reaction: '14', is_add: false })
    }),
  files: async ({ act }, index) => {
    const document = { file_uri: base64(Buffer.from(`document ${index}`)), file_name: 'a.txt' }
    const { folder_id } = await act(one, 'create_group_folder', { ...group, folder_name: `Folder ${index}` })
    const { file_id } = await act(one, 'upload_group_file', { ...group, ...document, parent_folder_id: folder_id })
    const file = { ...group, file_id, parent_folder_id: folder_id }
    await act(one, 'rename_group_file', { ...file, new_file_name: 'b.txt' })
    await act(one, 'rename_group_folder', { ...group, folder_id, new_folder_name: `Papers ${index}` })
    await act(one, 'get_group_file_download_url', file)
    if (index % 2 === 0) await act(one, 'delete_group_file', file)
    await act(one, 'delete_group_folder', { ...group, folder_id })
  },
  'private files': async ({ act }, index) => {
    const file_uri = base64(Buffer.from(`letter ${index}`))
    const { file_id } = await act(one, 'upload_private_file', { user_id: two, file_uri, file_name: 'a.txt' })
    await act(two, 'get_private_file_download_url', { user_id: one, file_id, file_hash: '' })
    const history = { message_scene: 'friend', peer_id: two, limit: 30 }
    const { messages } = await act(one, 'get_history_messages', history)
    for (const { message_seq, segments } of messages)
      if (segments[0]?.data.file_id === file_id) await act(one, 'recall_private_message', { user_id: two, message_seq })
  },
  // Who comes and goes leaves a trace on purpose: what they may read of the past.
  requests: async (stage, index) => {
    const id = personOf(index)
    const request = await requestOf(stage, id)
    const isIn = index % 2 === 0
    await stage.act(one, isIn ? 'accept_group_request' : 'reject_group_request', request)
    if (isIn) await stage.act(one, 'kick_group_member', { ...group, user_id: id })
  }
}

/** What grows with what happens: the log, the places of messages, who was where when, what people were told, and requests up to a bound. */
const GROWS: Readonly<Record<string, number>> = {
  events: Infinity,
  event_viewers: Infinity,
  messages: Infinity,
  stays: Infinity,
  notices: Infinity,
  group_requests: 1100,
  friend_requests: 1100,
  // Of the one webhook.
  attempts: 1000
}

interface Leftovers {
  readonly rows: Readonly<Record<string, number>>
  readonly files: readonly string[]
  readonly sinks: number
  readonly handles: number
}

async function look({ lactea, dir }: Running): Promise<Leftovers> {
  await lactea.gateway.files.tidy()
  const db = new DatabaseSync(join(dir, 'data', 'lactea.db'), { readOnly: true })
  try {
    const tables = db.prepare("select name from sqlite_master where type = 'table'").all()
    const count = (table: string): number =>
      (db.prepare(`select count(*) as count from "${table}"`).get() as { count: number }).count
    const rows = Object.fromEntries(tables.map(({ name }) => [name as string, count(name as string)]))
    const files = readdirSync(join(dir, 'data', 'files'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
    const handles = process.getActiveResourcesInfo().length
    return { rows, files, sinks: lactea.gateway.hub.size(), handles }
  } finally {
    db.close()
  }
}

t.test('a thousand actions of each kind leave nothing behind that should not be there', async (t) => {
  const hook = await startWebhook(t)
  const bots = [world.bots[0], { ...world.bots[1], webhooks: [{ url: hook.url, format: 'v1' }] }]
  const limits = { im_message_rate: 100_000, im_message_burst: 100_000 }
  const app = await startApp(t, { config: { bots, limits } })
  const socket = await openSocket(t, `${app.ws}/event?access_token=token-one`)
  socket.socket.removeAllListeners('message')
  const stage = openStage(app)
  people = await Promise.all(Array.from({ length: AT_ONCE }, () => stage.person()))

  async function run(name: string, cycle: Cycle, times: number): Promise<void> {
    const failures: unknown[] = []
    for (let start = 0; start < times; start += AT_ONCE) {
      const indexes = Array.from({ length: Math.min(AT_ONCE, times - start) }, (_, offset) => start + offset)
      await Promise.all(indexes.map((index) => cycle(stage, index).catch((err: unknown) => failures.push(err))))
    }
    t.strictSame(failures.slice(0, 3), [], `${times} × ${name}`)
  }

  async function runAll(times: number): Promise<void> {
    for (const [name, cycle] of Object.entries(cycles)) await run(name, cycle, times)
    for (const [action, params] of readers) {
      const read: Cycle = async ({ act }) => void (await act(one, action, params))
      await run(action, read, times)
    }
  }

  // Settings are as the last cycle leaves them, so they are there from the beginning.
  await runAll(AT_ONCE)
  const before = await look(app)
  await runAll(TIMES)
  const after = await look(app)

  for (const [table, count] of Object.entries(after.rows)) {
    const bound = GROWS[table]
    if (bound === undefined) t.equal(count, before.rows[table], table)
    else t.ok(count <= bound, `${table}: ${count}`)
  }
  t.equal(after.files.length, before.files.length, 'as many contents on disk')
  t.equal(after.sinks, before.sinks)
  // A delivery or a checkpoint may be under way; what is left behind each time is there a thousand times.
  t.ok(after.handles <= before.handles + TIMES / 10, `${before.handles} handles, then ${after.handles}`)
})
