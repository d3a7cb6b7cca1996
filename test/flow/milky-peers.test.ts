import t from 'tap'
import { MILKY_ACTIONS } from '../../src/protocols/milky.ts'
import { startApp, text, type ApiAnswer } from '../helpers/app.ts'
import { DOCUMENT, NEVER, PICTURE, openStage } from '../helpers/milky-catalogue.ts'
import { faultOfEvent } from '../helpers/milky-judge.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { wav } from '../helpers/pictures.ts'

// Two bots that are friends, and a group in which the first is an admin, the second a member, and a person the owner.
const [one, two, alice, GROUP, OWN] = [10001, 10002, 10011, 100001, 100002]
const groups = [
  { id: GROUP, name: 'Test group', owner: alice, admins: [one], members: [two] },
  { id: OWN, name: 'Own group', owner: one, members: [two, alice] }
]
const config = {
  bots: [
    { id: one, nickname: 'One', access_token: 'token-one', report_self: true },
    { id: two, nickname: 'Two', access_token: 'token-two' }
  ],
  provision: {
    accounts: [{ id: alice, kind: 'person', username: 'alice', password: 'alice-secret', nickname: 'Alice' }],
    friends: [[one, two]],
    groups
  }
}

interface Bot {
  readonly id: number
  readonly call: (api: string, params?: object) => Promise<any>
  /** The next event of this type with these values, which has to be one that Milky 1.2 has. */
  readonly hears: (type: string, data: object) => Promise<any>
}

t.test('two bots do to each other everything that Milky 1.2 names, and each hears of it', async (t) => {
  const app = await startApp(t, { config })
  const called = new Set<string>()
  const heard = new Set<string>()

  async function attach(id: number, token: string): Promise<Bot & { socket: TestSocket }> {
    const socket = await openSocket(t, `${app.ws}/event?access_token=${token}`)
    return {
      id,
      socket,
      async call(api, params) {
        const answer: ApiAnswer = await app.milky(token, api, params)
        t.match(answer, { http: 200, status: 'ok', retcode: 0 }, `${api}: ${answer.message ?? 'ok'}`)
        called.add(api)
        return answer.data
      },
      async hears(type, data) {
        const plain = Object.entries(data).filter(
          ([, value]) => typeof value !== 'object' && typeof value !== 'function'
        )
        const fits = (given: any): boolean => plain.every(([key, value]) => given.data[key] === value)
        const event = await socket.find((frame) => frame.event_type === type && fits(frame))
        t.equal(faultOfEvent(event), undefined, type)
        t.match(event, { self_id: id, data }, `${id} hears ${type}`)
        heard.add(type)
        return event.data
      }
    }
  }

  const first = await attach(one, 'token-one')
  const second = await attach(two, 'token-two')
  const both = async (type: string, data: object): Promise<any> => {
    const own = await first.hears(type, data)
    await second.hears(type, data)
    return own
  }
  const stage = openStage(app)
  const friend = { message_scene: 'friend' }
  const group = { group_id: GROUP }
  const place = { message_scene: 'group', peer_id: GROUP }

  await t.test('who is there', async (t) => {
    t.match(await first.call('get_login_info'), { uin: one, nickname: 'One' })
    t.match(await first.call('get_impl_info'), { impl_name: 'Lactea', milky_version: '1.2' })
    t.match(await first.call('get_friend_list'), { friends: [{ user_id: two }] })
    t.match(await second.call('get_friend_info', { user_id: one }), { friend: { nickname: 'One' } })
    t.equal((await first.call('get_group_list')).groups.length, 2)
    t.match(await second.call('get_group_info', group), { group: { member_count: 3, max_member_count: Number } })
    t.equal((await second.call('get_group_member_list', group)).members.length, 3)
    t.match(await second.call('get_group_member_info', { ...group, user_id: one }), { member: { role: 'admin' } })
  })

  await t.test('what they show of themselves', async (t) => {
    await first.call('set_nickname', { new_nickname: 'First' })
    await first.call('set_bio', { new_bio: 'the first' })
    await first.call('set_avatar', { uri: PICTURE })
    t.match(await second.call('get_user_profile', { user_id: one }), { nickname: 'First', bio: 'the first' })
    await second.call('send_profile_like', { user_id: one, count: 3 })
    for (const api of NEVER) {
      t.match(await app.milky('token-one', api, { domain: 'example.org' }), { http: 200, status: 'failed' })
      called.add(api)
    }
  })

  await t.test('pins', async (t) => {
    await first.call('set_peer_pin', { ...friend, peer_id: two })
    await first.hears('peer_pin_change', { message_scene: 'friend', peer_id: two, is_pinned: true })
    await first.call('set_peer_pin', place)
    await first.hears('peer_pin_change', { message_scene: 'group', peer_id: GROUP, is_pinned: true })
    t.match(await first.call('get_peer_pins'), { friends: [{ user_id: two }], groups: [{ group_id: GROUP }] })
    await first.call('set_peer_pin', { ...place, is_pinned: false })
    t.match(await first.call('get_peer_pins'), { groups: [] })
  })

  await t.test('talking', async (t) => {
    const voice = { type: 'record', data: { uri: `base64://${wav().toString('base64')}` } }
    const sticker = { type: 'image', data: { uri: PICTURE, sub_type: 'sticker', summary: '[smile]' } }
    const { message_seq } = await first.call('send_private_message', { user_id: two, message: text('hello') })
    await second.hears('message_receive', { ...friend, message_seq, friend: { nickname: 'First' } })
    await first.hears('message_receive', { ...friend, peer_id: two, sender_id: one })
    await second.call('mark_message_as_read', { ...friend, peer_id: one, message_seq })
    for (const message of [[voice], [sticker]]) {
      await first.call('send_private_message', { user_id: two, message })
      const { segments } = await second.hears('message_receive', { ...friend, peer_id: one })
      const { resource_id, temp_url } = segments[0].data
      const { url } = await second.call('get_resource_temp_url', { resource_id })
      for (const address of [url, temp_url]) t.equal((await fetch(address)).status, 200)
    }
    t.equal((await first.call('get_custom_face_url_list')).urls.length, 1)
    const nested = [{ user_id: two, sender_name: 'Two', segments: text('before') }]
    const everything = [
      { type: 'reply', data: { message_seq } },
      { type: 'mention', data: { user_id: one } },
      { type: 'face', data: { face_id: '14', is_large: true } },
      { type: 'forward', data: { messages: nested } },
      { type: 'light_app', data: { json_payload: '{"app":"card"}' } }
    ]
    await second.call('send_private_message', { user_id: one, message: everything })
    const { segments } = await first.hears('message_receive', { ...friend, peer_id: two, sender_id: two })
    t.match(segments[0].data, { sender_id: one, segments: text('hello') })
    const { forward_id } = segments[3].data
    t.match(await first.call('get_forwarded_messages', { forward_id }), { messages: [{ sender_name: 'Two' }] })
    t.match(await first.call('get_message', { ...friend, peer_id: two, message_seq }), { message: { sender_id: one } })
    t.equal((await second.call('get_history_messages', { ...friend, peer_id: one })).messages.length, 4)
    await first.call('recall_private_message', { user_id: two, message_seq })
    await second.hears('message_recall', { ...friend, peer_id: one, message_seq, sender_id: one, operator_id: one })
    await first.call('send_friend_nudge', { user_id: two })
    await second.hears('friend_nudge', { user_id: one, is_self_send: false, is_self_receive: true })
    await first.hears('friend_nudge', { user_id: two, is_self_send: true, is_self_receive: false })
  })

  await t.test('in the group', async (t) => {
    const { message_seq } = await second.call('send_group_message', { ...group, message: text('hello all') })
    await first.hears('message_receive', { ...place, message_seq, group_member: { user_id: two, role: 'member' } })
    await first.call('send_group_message_reaction', { ...group, message_seq, reaction: '14' })
    await both('group_message_reaction', { ...group, user_id: one, message_seq, face_id: '14', is_add: true })
    await first.call('set_group_essence_message', { ...group, message_seq })
    await both('group_essence_message_change', { ...group, message_seq, operator_id: one, is_set: true })
    t.match(await second.call('get_group_essence_messages', { ...group, page_index: 0, page_size: 5 }), {
      messages: [{ message_seq, sender_id: two, operator_id: one }],
      is_end: true
    })
    await first.call('recall_group_message', { ...group, message_seq })
    await both('message_recall', { ...place, message_seq, sender_id: two, operator_id: one })
    t.match(await second.call('get_group_essence_messages', { ...group, page_index: 0, page_size: 5 }), {
      messages: []
    })
    await first.call('send_group_nudge', { ...group, user_id: two })
    await both('group_nudge', { ...group, sender_id: one, receiver_id: two })
    await first.call('send_group_announcement', { ...group, content: 'news', image_uri: PICTURE })
    const { announcements } = await second.call('get_group_announcements', group)
    t.match(announcements, [{ user_id: one, content: 'news', image_url: /^http/ }])
    t.match(await second.call('get_group_info', group), { group: { announcement: 'news' } })
    const { announcement_id } = announcements[0]
    await first.call('delete_group_announcement', { ...group, announcement_id })
  })

  await t.test('looking after the group', async (t) => {
    const target = { ...group, user_id: two }
    await first.call('set_group_name', { ...group, new_group_name: 'New name' })
    await both('group_name_change', { ...group, new_group_name: 'New name', operator_id: one })
    await first.call('set_group_avatar', { ...group, image_uri: PICTURE })
    await first.call('set_group_member_card', { ...target, card: 'Card' })
    await first.call('set_group_member_special_title', { ...target, special_title: 'Title' })
    await first.call('set_group_member_mute', { ...target, duration: 600 })
    await both('group_mute', { ...target, operator_id: one, duration: 600 })
    const { member } = await first.call('get_group_member_info', target)
    t.match(member, { card: 'Card', title: 'Title', shut_up_end_time: Number })
    t.match(await app.milky('token-two', 'send_group_message', { ...group, message: text('x') }), { retcode: -102 })
    await first.call('set_group_member_mute', { ...target, duration: 0 })
    await both('group_mute', { ...target, duration: 0 })
    await first.call('set_group_whole_mute', group)
    await both('group_whole_mute', { ...group, operator_id: one, is_mute: true })
    await first.call('set_group_whole_mute', { ...group, is_mute: false })
    await first.call('set_group_member_admin', { group_id: OWN, user_id: two })
    await both('group_admin_change', { group_id: OWN, user_id: two, operator_id: one, is_set: true })
  })

  await t.test('files', async (t) => {
    const document = { file_uri: DOCUMENT, file_name: 'a.txt' }
    const { file_id } = await first.call('upload_private_file', { user_id: two, ...document })
    const { segments } = await second.hears('message_receive', { ...friend, peer_id: one })
    const { file_hash } = segments[0].data
    await second.hears('friend_file_upload', { user_id: one, file_id, file_name: 'a.txt', file_hash, is_self: false })
    await first.hears('friend_file_upload', { user_id: two, file_id, is_self: true })
    const asked = { user_id: one, file_id, file_hash }
    const { download_url } = await second.call('get_private_file_download_url', asked)
    t.equal(await (await fetch(download_url)).text(), 'a document')

    const uploaded = await second.call('upload_group_file', { ...group, ...document })
    const file = { ...group, file_id: uploaded.file_id }
    await first.hears('group_file_upload', { ...file, user_id: two, file_name: 'a.txt', file_size: 10 })
    const { folder_id } = await first.call('create_group_folder', { ...group, folder_name: 'Folder' })
    await first.call('rename_group_folder', { ...group, folder_id, new_folder_name: 'Papers' })
    await first.call('rename_group_file', { ...file, new_file_name: 'b.txt' })
    await first.call('move_group_file', { ...file, target_folder_id: folder_id })
    t.match(await second.call('get_group_files', group), {
      files: [],
      folders: [{ folder_id, folder_name: 'Papers', file_count: 1 }]
    })
    t.match(await second.call('get_group_files', { ...group, parent_folder_id: folder_id }), {
      files: [{ file_id: uploaded.file_id, file_name: 'b.txt', uploader_id: two }],
      folders: []
    })
    const group_url = (await first.call('get_group_file_download_url', file)).download_url
    t.equal(await (await fetch(group_url)).text(), 'a document')
    await first.call('delete_group_file', file)
    t.notOk((await fetch(group_url)).ok, 'what was deleted is gone')
    await first.call('delete_group_folder', { ...group, folder_id })
    t.match(await second.call('get_group_files', group), { files: [], folders: [] })
  })

  await t.test('requests', async (t) => {
    const [newcomer, other] = [await stage.person(), await stage.person()]
    await stage.act(newcomer, 'request_group_join', { ...group, comment: 'let me in' })
    const { notification_seq } = await first.hears('group_join_request', {
      ...group,
      initiator_id: newcomer,
      comment: 'let me in'
    })
    t.match((await first.call('get_group_notifications')).notifications[0], { type: 'join_request', state: 'pending' })
    await first.call('accept_group_request', { ...group, notification_seq, notification_type: 'join_request' })
    await both('group_member_increase', { ...group, user_id: newcomer, operator_id: one })

    await stage.act(newcomer, 'invite_to_group', { ...group, user_id: other })
    const invited = await first.hears('group_invited_join_request', { initiator_id: newcomer, target_user_id: other })
    await first.call('reject_group_request', {
      ...group,
      notification_seq: invited.notification_seq,
      notification_type: 'invited_join_request',
      reason: 'no'
    })
    await first.call('kick_group_member', { ...group, user_id: newcomer, reject_add_request: true })
    await both('group_member_decrease', { ...group, user_id: newcomer, operator_id: one })
    await t.rejects(stage.act(newcomer, 'request_group_join', group), { message: /banned/ })

    const third = await stage.foreignGroup()
    for (const api of ['reject_group_invitation', 'accept_group_invitation']) {
      await stage.act(two, 'invite_to_group', { group_id: third, user_id: one })
      const { invitation_seq } = await first.hears('group_invitation', { group_id: third, initiator_id: two })
      await first.call(api, { group_id: third, invitation_seq })
    }
    await both('group_member_increase', { group_id: third, user_id: one })
    await first.call('quit_group', { group_id: third })
    await both('group_member_decrease', { group_id: third, user_id: one })

    for (const api of ['accept_friend_request', 'reject_friend_request']) {
      const id = await stage.person()
      await stage.act(id, 'add_contact', { user_id: one })
      const { initiator_uid } = await first.hears('friend_request', { initiator_id: id })
      t.match((await first.call('get_friend_requests')).requests[0], { initiator_uid, state: 'pending' })
      await first.call(api, { initiator_uid })
    }
    await first.call('delete_friend', { user_id: two })
    t.match(await second.call('get_friend_list'), { friends: [] }, 'neither has the other any more')
  })

  await app.lactea.gateway.store.disableAccount(two, app.lactea.gateway.now())
  await second.hears('bot_offline', {})

  t.strictSame(
    Object.values(MILKY_ACTIONS)
      .flat()
      .filter((name) => !called.has(name)),
    [],
    'all 64 were called'
  )
  t.equal(heard.size, 20, [...heard].join(' '))
})
