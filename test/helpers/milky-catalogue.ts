import { apis } from './milky-judge.ts'
import { text, type Running } from './app.ts'
import { png } from './pictures.ts'

export const GROUP = 100001
export const one = 10001
export const two = 10002

/** What a call needs to have happened before. Everything is done by the real actions, as whoever would do it. */
export interface Stage {
  readonly app: Running
  readonly act: (accountId: number, action: string, params?: object) => Promise<any>
  /** A new person, whom nobody knows. */
  readonly person: () => Promise<number>
  /** A new group of bot two, which bot one is not in. */
  readonly foreignGroup: () => Promise<number>
}

export const PICTURE = `base64://${png(2, 2).toString('base64')}`
export const DOCUMENT = `base64://${Buffer.from('a document').toString('base64')}`

export function openStage(app: Running): Stage {
  const { accounts, dispatcher, members } = app.lactea.gateway
  let count = 0
  const act = async (accountId: number, action: string, params: object = {}): Promise<any> => {
    const outcome = await dispatcher.dispatch(action, params, { accountId })
    if (!outcome.ok) throw new Error(`${action} of ${accountId}: ${outcome.error.message}`)
    return outcome.data
  }
  return {
    app,
    act,
    person: async () => (await accounts.add({ kind: 'person', nickname: `Person ${++count}` })).id,
    async foreignGroup() {
      const owner = await accounts.get(two)
      return (await members.open(owner, { name: `Group ${++count}`, memberIds: [] })).id
    }
  }
}

/** Parameters with which bot one's call succeeds, each time anew; the bot owns the group and is bot two's friend. */
type Valid = (stage: Stage) => Promise<object> | object

const sayInGroup = ({ act }: Stage, accountId = one): Promise<{ message_seq: number }> =>
  act(accountId, 'send_group_message', { group_id: GROUP, message: text('hello') })

const sayPrivately = ({ act }: Stage): Promise<{ message_seq: number }> =>
  act(one, 'send_private_message', { user_id: two, message: text('hello') })

async function askToBeFriends(stage: Stage): Promise<{ initiator_uid: string }> {
  const id = await stage.person()
  await stage.act(id, 'add_contact', { user_id: one })
  return { initiator_uid: String(id) }
}

async function askToJoin(stage: Stage): Promise<object> {
  await stage.act(await stage.person(), 'request_group_join', { group_id: GROUP, comment: 'let me in' })
  const { notifications } = await stage.act(one, 'get_group_notifications', { limit: 1 })
  const [{ notification_seq }] = notifications
  return { notification_seq, notification_type: 'join_request', group_id: GROUP, is_filtered: false }
}

async function inviteBotOne(stage: Stage): Promise<object> {
  const group_id = await stage.foreignGroup()
  const { store } = stage.app.lactea.gateway
  const before = await store.lastEventId()
  await stage.act(two, 'invite_to_group', { group_id, user_id: one })
  const { events } = await store.readEvents(one, before, 1000)
  const invitation = events.find(({ kind }) => kind === 'group.invited')
  if (invitation?.kind !== 'group.invited') throw new Error('nobody was invited')
  return { group_id, invitation_seq: invitation.data.requestSeq }
}

const newMember = async (stage: Stage): Promise<number> => {
  const id = await stage.person()
  await stage.app.lactea.gateway.groups.addMember(GROUP, id)
  return id
}

const folder = async (stage: Stage): Promise<string> => {
  const folder_name = `Folder ${Math.random()}`
  return (await stage.act(one, 'create_group_folder', { group_id: GROUP, folder_name })).folder_id
}

const groupFile = async (stage: Stage): Promise<string> =>
  (await stage.act(one, 'upload_group_file', { group_id: GROUP, file_uri: DOCUMENT, file_name: 'a.txt' })).file_id

async function privateFile({ act }: Stage): Promise<object> {
  const file = { user_id: two, file_uri: DOCUMENT, file_name: 'a.txt' }
  const { file_id } = await act(one, 'upload_private_file', file)
  const { messages } = await act(one, 'get_history_messages', { message_scene: 'friend', peer_id: two, limit: 1 })
  return { user_id: two, file_id, file_hash: messages[0].segments[0].data.file_hash }
}

async function announcement({ act }: Stage): Promise<string> {
  await act(one, 'send_group_announcement', { group_id: GROUP, content: 'news' })
  const { announcements } = await act(one, 'get_group_announcements', { group_id: GROUP })
  return announcements[0].announcement_id
}

const inGroup = { group_id: GROUP }
const member = { ...inGroup, user_id: two }
const groupScene = { message_scene: 'group', peer_id: GROUP }

/** All 64 actions of Milky 1.2, with every parameter that they have. */
export const milkyCatalogue: Readonly<Record<string, Valid>> = {
  get_login_info: () => ({}),
  get_impl_info: () => ({}),
  get_user_profile: () => ({ user_id: two }),
  get_friend_list: () => ({ no_cache: true }),
  get_friend_info: () => ({ user_id: two, no_cache: true }),
  get_group_list: () => ({ no_cache: true }),
  get_group_info: () => ({ ...inGroup, no_cache: true }),
  get_group_member_list: () => ({ ...inGroup, no_cache: true }),
  get_group_member_info: () => ({ ...member, no_cache: true }),
  get_peer_pins: () => ({}),
  set_peer_pin: () => ({ message_scene: 'friend', peer_id: two, is_pinned: true }),
  set_avatar: () => ({ uri: PICTURE }),
  set_nickname: () => ({ new_nickname: 'One' }),
  set_bio: () => ({ new_bio: 'what I am' }),
  get_custom_face_url_list: () => ({}),
  get_cookies: () => ({ domain: 'example.org' }),
  get_csrf_token: () => ({}),

  send_private_message: () => ({ user_id: two, message: text('hello') }),
  send_group_message: () => ({ ...inGroup, message: text('hello') }),
  recall_private_message: async (stage) => ({ user_id: two, message_seq: (await sayPrivately(stage)).message_seq }),
  recall_group_message: async (stage) => ({ ...inGroup, message_seq: (await sayInGroup(stage)).message_seq }),
  get_message: async (stage) => ({ ...groupScene, message_seq: (await sayInGroup(stage)).message_seq }),
  get_history_messages: async (stage) => {
    const { message_seq } = await sayInGroup(stage)
    return { ...groupScene, start_message_seq: message_seq, limit: 5 }
  },
  get_resource_temp_url: async ({ act }) => {
    await act(one, 'send_group_message', { ...inGroup, message: [{ type: 'image', data: { uri: PICTURE } }] })
    const { messages } = await act(one, 'get_history_messages', { ...groupScene, limit: 1 })
    return { resource_id: messages[0].segments[0].data.resource_id }
  },
  get_forwarded_messages: async ({ act }) => {
    const messages = [{ user_id: two, sender_name: 'Two', segments: text('hello') }]
    await act(one, 'send_group_message', { ...inGroup, message: [{ type: 'forward', data: { messages } }] })
    const history = await act(one, 'get_history_messages', { ...groupScene, limit: 1 })
    return { forward_id: history.messages[0].segments[0].data.forward_id }
  },
  mark_message_as_read: async (stage) => ({ ...groupScene, message_seq: (await sayInGroup(stage, two)).message_seq }),

  send_friend_nudge: () => ({ user_id: two, is_self: false }),
  send_profile_like: async (stage) => ({ user_id: await stage.person(), count: 1 }),
  delete_friend: async (stage) => {
    const { initiator_uid } = await askToBeFriends(stage)
    await stage.act(one, 'accept_friend_request', { initiator_uid })
    return { user_id: Number(initiator_uid) }
  },
  get_friend_requests: () => ({ limit: 5, is_filtered: false }),
  accept_friend_request: async (stage) => ({ ...(await askToBeFriends(stage)), is_filtered: false }),
  reject_friend_request: async (stage) => ({ ...(await askToBeFriends(stage)), is_filtered: false, reason: 'no' }),

  set_group_name: () => ({ ...inGroup, new_group_name: 'Test group' }),
  set_group_avatar: () => ({ ...inGroup, image_uri: PICTURE }),
  set_group_member_card: () => ({ ...member, card: 'Card' }),
  set_group_member_special_title: () => ({ ...member, special_title: 'Title' }),
  set_group_member_admin: () => ({ ...member, is_set: true }),
  set_group_member_mute: () => ({ ...member, duration: 0 }),
  set_group_whole_mute: () => ({ ...inGroup, is_mute: false }),
  kick_group_member: async (stage) => ({ ...inGroup, user_id: await newMember(stage), reject_add_request: true }),
  get_group_announcements: () => inGroup,
  send_group_announcement: () => ({ ...inGroup, content: 'news', image_uri: PICTURE }),
  delete_group_announcement: async (stage) => ({ ...inGroup, announcement_id: await announcement(stage) }),
  get_group_essence_messages: () => ({ ...inGroup, page_index: 0, page_size: 10 }),
  set_group_essence_message: async (stage) => ({
    ...inGroup,
    message_seq: (await sayInGroup(stage)).message_seq,
    is_set: true
  }),
  quit_group: async (stage) => {
    const group_id = await stage.foreignGroup()
    await stage.app.lactea.gateway.groups.addMember(group_id, one)
    return { group_id }
  },
  send_group_message_reaction: async (stage) => ({
    ...inGroup,
    message_seq: (await sayInGroup(stage)).message_seq,
    reaction: '128077',
    reaction_type: 'emoji',
    is_add: true
  }),
  send_group_nudge: () => member,
  get_group_notifications: async (stage) => {
    const { notification_seq } = (await askToJoin(stage)) as { notification_seq: number }
    return { start_notification_seq: notification_seq, is_filtered: false, limit: 5 }
  },
  accept_group_request: askToJoin,
  reject_group_request: async (stage) => ({ ...(await askToJoin(stage)), reason: 'no' }),
  accept_group_invitation: inviteBotOne,
  reject_group_invitation: inviteBotOne,

  upload_private_file: () => ({ user_id: two, file_uri: DOCUMENT, file_name: 'a.txt' }),
  upload_group_file: () => ({ ...inGroup, parent_folder_id: '/', file_uri: DOCUMENT, file_name: 'a.txt' }),
  get_private_file_download_url: privateFile,
  get_group_file_download_url: async (stage) => ({ ...inGroup, file_id: await groupFile(stage) }),
  get_group_files: () => ({ ...inGroup, parent_folder_id: '/' }),
  move_group_file: async (stage) => ({
    ...inGroup,
    file_id: await groupFile(stage),
    parent_folder_id: '/',
    target_folder_id: '/'
  }),
  rename_group_file: async (stage) => ({
    ...inGroup,
    file_id: await groupFile(stage),
    parent_folder_id: '/',
    new_file_name: 'b.txt'
  }),
  delete_group_file: async (stage) => ({ ...inGroup, file_id: await groupFile(stage) }),
  create_group_folder: () => ({ ...inGroup, folder_name: `Folder ${Math.random()}` }),
  rename_group_folder: async (stage) => ({
    ...inGroup,
    folder_id: await folder(stage),
    new_folder_name: `Folder ${Math.random()}`
  }),
  delete_group_folder: async (stage) => ({ ...inGroup, folder_id: await folder(stage) })
}

/** There is no web session behind the gateway, so these are answered with a failure that says so. */
export const NEVER: ReadonlySet<string> = new Set(['get_cookies', 'get_csrf_token'])

/** Whether a parameter of Milky 1.2 may be left out, as somebody else has written it down. */
export function isOptional(api: string, name: string): boolean {
  const shape = (apis.get(api)?.requestSchema as { shape?: Record<string, any> } | null | undefined)?.shape
  return shape?.[name]?.safeParse(undefined).success === true
}

const from12 =
  (name: string, change: (params: any) => object = (params) => params): Valid =>
  async (stage) =>
    change(await milkyCatalogue[name]?.(stage))

const ofGroup = ({ message_seq }: { message_seq: number }) => ({ message_id: `Group:${GROUP}:${message_seq}` })

/** All 44 actions of the draft (contract 1.6), with every parameter that they have. */
export const draftCatalogue: Readonly<Record<string, Valid>> = {
  ...Object.fromEntries(
    [
      'get_login_info',
      'get_friend_list',
      'get_friend_info',
      'get_group_list',
      'get_group_info',
      'get_group_member_list',
      'get_group_member_info',
      'send_private_message',
      'send_group_message',
      'get_resource_temp_url',
      'get_forwarded_messages',
      'send_profile_like',
      'set_group_avatar',
      'set_group_member_card',
      'set_group_member_special_title',
      'set_group_member_admin',
      'set_group_member_mute',
      'set_group_whole_mute',
      'kick_group_member',
      'send_group_announcement',
      'delete_group_announcement',
      'quit_group',
      'get_group_file_download_url',
      'get_group_files',
      'delete_group_file',
      'create_group_folder',
      'delete_group_folder'
    ].map((name) => [name, from12(name)])
  ),
  get_message: from12('get_message', ofGroup),
  get_history_private_message: async (stage) => {
    const { message_seq } = await sayPrivately(stage)
    return { user_id: two, start_message_id: `Private:${two}:${message_seq}`, limit: 5 }
  },
  get_history_group_message: async (stage) => {
    const { message_id } = ofGroup(await sayInGroup(stage))
    return { ...inGroup, start_message_id: message_id, limit: 5 }
  },
  recall_message: from12('recall_group_message', ofGroup),
  send_friend_poke: from12('send_friend_nudge'),
  set_group_name: from12('set_group_name', ({ group_id, new_group_name: name }) => ({ group_id, name })),
  get_group_announcement_list: from12('get_group_announcements'),
  send_group_message_reaction: from12('send_group_message_reaction', (params) => ({
    ...ofGroup(params),
    reaction: '14'
  })),
  send_group_poke: from12('send_group_nudge'),
  accept_request: from12('accept_friend_request', ({ initiator_uid }) => ({ request_id: `Friend:${initiator_uid}` })),
  reject_request: from12('reject_group_request', ({ notification_seq, reason }) => ({
    request_id: `Join:${GROUP}:${notification_seq}`,
    reason
  })),
  upload_private_file: from12('upload_private_file', ({ user_id, file_uri }) => ({ user_id, file_uri })),
  upload_group_file: from12('upload_group_file', ({ group_id, file_uri }) => ({ group_id, file_uri })),
  get_private_file_download_url: from12('get_private_file_download_url', ({ user_id, file_id }) => ({
    user_id,
    file_id
  })),
  move_group_file: from12('move_group_file', ({ group_id, file_id, target_folder_id }) => ({
    group_id,
    file_id,
    target_folder_id
  })),
  rename_group_file: from12('rename_group_file', ({ group_id, file_id, new_file_name: new_name }) => ({
    group_id,
    file_id,
    new_name
  })),
  rename_group_folder: from12('rename_group_folder', ({ group_id, folder_id, new_folder_name: new_name }) => ({
    group_id,
    folder_id,
    new_name
  }))
}

/** What may be left out in the draft (contract 1.6). */
export const DRAFT_OPTIONAL: ReadonlySet<string> = new Set([
  'no_cache',
  'start_message_id',
  'limit',
  'is_self',
  'count',
  'is_set',
  'duration',
  'is_mute',
  'reject_add_request',
  'reason',
  'parent_folder_id',
  'target_folder_id'
])

/** Required in the draft, which forgot to say that it is not (contract 1.9). */
export const DRAFT_LENIENT: ReadonlySet<string> = new Set(['send_group_announcement image_uri'])
