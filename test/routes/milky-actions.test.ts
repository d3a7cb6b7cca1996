import t, { type Test } from 'tap'
import { draftActions } from '../../src/protocols/draft-actions.ts'
import { startApp, text, type Running } from '../helpers/app.ts'
import { png } from '../helpers/pictures.ts'

const GROUP = 100001
const PRIVATE = { user_id: 10011, message: text('hello') }
const nobody = 19999

async function ok(t: Test, app: Running, token: string, api: string, params: object = {}): Promise<any> {
  const answer = await app.call(token, api, params)
  t.match(answer, { http: 200, status: 'ok', retcode: 0 }, `${api} works`)
  t.strictSame(Object.keys(answer), ['http', 'status', 'retcode', 'data'])
  return answer.data
}

async function failed(t: Test, app: Running, token: string, api: string, params: object, retcode: number) {
  const answer = await app.call(token, api, params)
  t.strictSame(Object.keys(answer), ['http', 'status', 'retcode', 'message'])
  t.match(answer, { http: 200, status: 'failed', retcode, message: /./ }, `${api} ${JSON.stringify(params)}`)
}

/** Takes the time out, since nobody knows it in advance. */
function timeless({ time, ...rest }: { time: number }): object {
  const now = Date.now() / 1000
  if (!Number.isInteger(time) || Math.abs(now - time) > 60) throw new Error(`time: not Unix seconds: ${time}`)
  return rest
}

t.test('system', async (t) => {
  const app = await startApp(t)

  t.strictSame(await ok(t, app, 'token-one', 'get_login_info'), { uin: 10001, nickname: 'One' })

  const alice = {
    user_id: 10011,
    qid: 'alice',
    nickname: 'Alice',
    remark: '',
    category: { category_id: 0, category_name: '' }
  }
  const two = { user_id: 10002, nickname: 'Two', remark: '', category: { category_id: 0, category_name: '' } }
  for (const params of [{}, { no_cache: true }, { no_cache: false }, { no_cache: null }]) {
    const { friends, ...rest } = await ok(t, app, 'token-one', 'get_friend_list', params)
    t.strictSame(rest, {})
    t.strictSame(
      friends.toSorted((a: { user_id: number }, b: { user_id: number }) => a.user_id - b.user_id),
      [two, alice]
    )
  }
  t.strictSame(await ok(t, app, 'token-one', 'get_friend_info', { user_id: 10011 }), alice, 'the friend itself')
  await failed(t, app, 'token-one', 'get_friend_info', { user_id: nobody }, -100)
  await failed(t, app, 'token-two', 'get_friend_info', { user_id: 10011 }, -100)

  const group = { group_id: GROUP, name: 'Test group', member_count: 3, max_member_count: 5000 }
  t.strictSame(await ok(t, app, 'token-two', 'get_group_list'), { groups: [group] })
  t.strictSame(await ok(t, app, 'token-two', 'get_group_info', { group_id: GROUP }), group, 'the group itself')
  await failed(t, app, 'token-two', 'get_group_info', { group_id: 100002 }, -100)

  const { members, ...rest } = await ok(t, app, 'token-two', 'get_group_member_list', { group_id: GROUP })
  t.strictSame(rest, {})
  const shown = members.map(({ join_time: time, ...member }: { join_time: number }) => timeless({ time, ...member }))
  const member = (user_id: number, nickname: string, role: string): object => ({
    user_id,
    nickname,
    sex: 'unknown',
    group_id: GROUP,
    card: '',
    level: 1,
    role,
    last_sent_time: 0
  })
  t.strictSame(
    shown.toSorted((a: { user_id: number }, b: { user_id: number }) => a.user_id - b.user_id),
    [member(10001, 'One', 'owner'), member(10002, 'Two', 'member'), member(10011, 'Alice', 'member')]
  )
  const own = await ok(t, app, 'token-one', 'get_group_member_info', { group_id: GROUP, user_id: 10011 })
  t.strictSame(
    own,
    members.find((found: { user_id: number }) => found.user_id === 10011),
    'the member itself'
  )
  await failed(t, app, 'token-one', 'get_group_member_info', { group_id: GROUP, user_id: nobody }, -100)
  await failed(t, app, 'token-one', 'get_group_member_list', { group_id: 100002 }, -100)
})

t.test('messages', async (t) => {
  const app = await startApp(t)
  const first = await ok(t, app, 'token-one', 'send_private_message', PRIVATE)
  t.strictSame(timeless(first), { message_id: 'Private:10011:1' })
  const groupSegments = [
    { type: 'text', data: { text: 'hello ' } },
    { type: 'at', data: { user_id: 10011 } },
    { type: 'face', data: { face_id: '14' } }
  ]
  const second = await ok(t, app, 'token-one', 'send_group_message', { group_id: GROUP, message: groupSegments })
  t.strictSame(timeless(second), { message_id: 'Group:100001:1' })

  t.strictSame(await ok(t, app, 'token-one', 'get_message', first), {
    message: { ...first, user_id: 10001, segments: text('hello'), message_type: 'private' }
  })
  t.strictSame(await ok(t, app, 'token-two', 'get_message', second), {
    message: { ...second, user_id: 10001, segments: groupSegments, message_type: 'group', group_id: GROUP }
  })
  await failed(t, app, 'token-two', 'get_message', first, -100)
  for (const message_id of ['', '1', 'private:10011:1', 'Private:10011', 'Private:10011:0', 'Private:10011:01']) {
    await failed(t, app, 'token-one', 'get_message', { message_id }, -100)
    await failed(t, app, 'token-one', 'recall_message', { message_id }, -100)
  }
  await failed(t, app, 'token-one', 'get_message', { message_id: 'Group:100001:2' }, -100)
  await failed(t, app, 'token-one', 'get_message', { message_id: 'Group:10011:1' }, -100)

  for (const message_id of ['Group:100001:1', 1]) {
    const message = [{ type: 'reply', data: { message_id } }, ...text('yes')]
    const reply = await ok(t, app, 'token-two', 'send_group_message', { group_id: GROUP, message })
    const { message: shown } = await ok(t, app, 'token-one', 'get_message', reply)
    const expected = [{ type: 'reply', data: { message_id: 'Group:100001:1' } }, ...text('yes')]
    t.strictSame(shown.segments, expected, `a reply to ${JSON.stringify(message_id)}`)
  }
  for (const message_id of ['Group:100001:999', 'Group:100002:1', 'Private:10011:1', 'nonsense', 999]) {
    const message = [{ type: 'reply', data: { message_id } }, ...text('no')]
    await failed(t, app, 'token-one', 'send_group_message', { group_id: GROUP, message }, -100)
  }

  await failed(t, app, 'token-one', 'send_private_message', { ...PRIVATE, user_id: nobody }, -100)
  await failed(t, app, 'token-one', 'send_group_message', { ...PRIVATE, group_id: 100002 }, -100)
  const long = { group_id: GROUP, message: text('x'.repeat(16_385)) }
  await failed(t, app, 'token-one', 'send_group_message', long, -104)
  const many = { group_id: GROUP, message: Array.from({ length: 201 }, () => text('x')[0]) }
  await failed(t, app, 'token-one', 'send_group_message', many, -104)

  t.strictSame(await ok(t, app, 'token-one', 'recall_message', first), {})
  await failed(t, app, 'token-one', 'get_message', first, -100)
  await failed(t, app, 'token-two', 'recall_message', second, -101)
  t.strictSame(await ok(t, app, 'token-one', 'recall_message', second), {})
})

t.test('histories', async (t) => {
  const app = await startApp(t)
  for (const [api, target, prefix] of [
    ['private', { user_id: 10011 }, 'Private:10011'],
    ['group', { group_id: GROUP }, 'Group:100001']
  ] as const) {
    const read = `get_history_${api}_message`
    for (let index = 1; index <= 45; index++) {
      await app.call('token-one', `send_${api}_message`, { ...target, message: text(`word ${index}`) })
    }
    const ids = (data: { messages: { message_id: string }[] }) => data.messages.map((message) => message.message_id)
    const range = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => `${prefix}:${from + index}`)

    const newest = await ok(t, app, 'token-one', read, target)
    t.strictSame(ids(newest), range(26, 45), '20 by default, the newest')
    t.equal(newest.next_start_message_id, `${prefix}:25`)
    t.strictSame(Object.keys(newest), ['messages', 'next_start_message_id'])
    const next = { ...target, start_message_id: newest.next_start_message_id, limit: 100 }
    const older = await ok(t, app, 'token-one', read, next)
    t.strictSame(ids(older), range(1, 25), 'goes on where the page before ended')
    t.strictSame(Object.keys(older), ['messages'], 'no next page at the beginning')
    t.strictSame(ids(await ok(t, app, 'token-one', read, { ...target, limit: 1 })), range(45, 45))
    t.strictSame(ids(await ok(t, app, 'token-one', read, { ...target, limit: 1000 })), range(16, 45), 'at most 30')
    t.strictSame(
      ids(await ok(t, app, 'token-one', read, { ...target, start_message_id: null, limit: null })),
      range(26, 45)
    )
    const { messages } = await ok(t, app, 'token-one', read, { ...target, limit: 1 })
    const shown = await ok(t, app, 'token-one', 'get_message', messages[0])
    t.strictSame(messages[0], shown.message, 'the same message as by get_message')
    for (const start_message_id of ['nonsense', 'Group:100002:1', 'Private:10002:1']) {
      await failed(t, app, 'token-one', read, { ...target, start_message_id }, -100)
    }
  }
  await failed(t, app, 'token-one', 'get_history_private_message', { user_id: nobody }, -100)
  await failed(t, app, 'token-one', 'get_history_group_message', { group_id: 100002 }, -100)
})

t.test('groups', async (t) => {
  const app = await startApp(t)
  const group = { group_id: GROUP }
  const two = { ...group, user_id: 10002 }
  const info = () => ok(t, app, 'token-one', 'get_group_member_info', two)
  const speak = { ...group, message: text('hello') }

  t.strictSame(await ok(t, app, 'token-one', 'set_group_name', { ...group, name: 'New' }), {})
  t.equal((await ok(t, app, 'token-two', 'get_group_info', group)).name, 'New')
  await failed(t, app, 'token-two', 'set_group_name', { ...group, name: 'Mine' }, -101)

  t.strictSame(await ok(t, app, 'token-one', 'set_group_member_card', { ...two, card: 'Second' }), {})
  t.equal((await info()).card, 'Second')
  t.strictSame(
    await ok(t, app, 'token-two', 'set_group_member_card', { ...two, card: '' }),
    {},
    'one may change the own'
  )
  t.equal((await info()).card, '')
  await failed(t, app, 'token-two', 'set_group_member_card', { ...group, user_id: 10001, card: 'x' }, -101)

  t.strictSame(await ok(t, app, 'token-one', 'set_group_member_admin', two), {})
  t.equal((await info()).role, 'admin', 'is_set is true by default')
  t.strictSame(await ok(t, app, 'token-one', 'set_group_member_admin', { ...two, is_set: false }), {})
  t.equal((await info()).role, 'member')
  await failed(t, app, 'token-two', 'set_group_member_admin', { ...group, user_id: 10011 }, -101)
  await failed(t, app, 'token-one', 'set_group_member_admin', { ...group, user_id: nobody }, -100)

  t.strictSame(await ok(t, app, 'token-one', 'set_group_member_mute', { ...two, duration: 600 }), {})
  await failed(t, app, 'token-two', 'send_group_message', speak, -102)
  t.strictSame(await ok(t, app, 'token-one', 'set_group_member_mute', two), {}, 'duration is 0 by default, which lifts')
  await ok(t, app, 'token-two', 'send_group_message', speak)
  await failed(t, app, 'token-two', 'set_group_member_mute', { ...group, user_id: 10011, duration: 60 }, -101)

  t.strictSame(await ok(t, app, 'token-one', 'set_group_whole_mute', group), {}, 'is_mute is true by default')
  await failed(t, app, 'token-two', 'send_group_message', speak, -102)
  t.strictSame(await ok(t, app, 'token-one', 'set_group_whole_mute', { ...group, is_mute: false }), {})
  await ok(t, app, 'token-two', 'send_group_message', speak)
  await failed(t, app, 'token-two', 'set_group_whole_mute', group, -101)

  await failed(t, app, 'token-two', 'kick_group_member', { ...group, user_id: 10011 }, -101)
  await failed(t, app, 'token-two', 'kick_group_member', { ...group, user_id: 10001 }, -101)
  t.strictSame(await ok(t, app, 'token-one', 'kick_group_member', { ...group, user_id: 10011 }), {})
  await failed(t, app, 'token-one', 'kick_group_member', { ...group, user_id: 10011 }, -100)
  t.strictSame(await ok(t, app, 'token-two', 'quit_group', group), {})
  await failed(t, app, 'token-two', 'quit_group', group, -100)
  await failed(t, app, 'token-two', 'send_group_message', speak, -100)
})

/** One good value for each required parameter, and what each parameter does not take. */
const user_id = { good: 10011, bad: ['10011', 0, -1, 1.5, true, [], {}, 2 ** 53] }
const group_id = { ...user_id, good: GROUP }
const flag = { bad: ['true', 1, 0, [], {}] }
const message = {
  good: text('x'),
  bad: [
    'hello',
    {},
    7,
    [],
    ['hello'],
    [null],
    [{}],
    [{ type: 'text' }],
    [{ type: 'text', data: {} }],
    [{ type: 'text', data: { text: 7 } }],
    [{ type: 'text', data: { text: '' } }],
    [{ type: 'Text', data: { text: 'x' } }],
    [{ type: 'mention', data: { user_id: 10011 } }],
    [{ type: 'at', data: { user_id: '10011' } }],
    [{ type: 'face', data: { face_id: 14 } }],
    [{ type: 'reply', data: { message_id: null } }],
    [{ type: 'reply', data: { message_id: 1.5 } }],
    [{ type: 'no_such_segment', data: {} }],
    [...text('x'), { type: 'text' }]
  ]
}
const PICTURE = `base64://${png(1, 1).toString('base64')}`
const message_id = { good: 'Group:100001:1', bad: [1, true, [], {}] }
const history = { start_message_id: message_id, limit: { bad: ['20', -1, 0, 1.5, true, []] } }
const name = { good: 'x', bad: ['', 'a\nb', 'x'.repeat(65), 7, []] }
const anyText = { good: 'x', bad: [7, true, [], {}] }

type Rules = Record<string, { readonly good?: unknown; readonly bad: readonly unknown[] }>
const table: Record<string, { readonly required: Rules; readonly optional: Rules }> = {
  get_login_info: { required: {}, optional: {} },
  get_friend_list: { required: {}, optional: { no_cache: flag } },
  get_friend_info: { required: { user_id }, optional: { no_cache: flag } },
  get_group_list: { required: {}, optional: { no_cache: flag } },
  get_group_info: { required: { group_id }, optional: { no_cache: flag } },
  get_group_member_list: { required: { group_id }, optional: { no_cache: flag } },
  get_group_member_info: { required: { group_id, user_id }, optional: { no_cache: flag } },
  send_private_message: { required: { user_id, message }, optional: {} },
  send_group_message: { required: { group_id, message }, optional: {} },
  get_message: { required: { message_id }, optional: {} },
  get_history_private_message: { required: { user_id }, optional: history },
  get_history_group_message: { required: { group_id }, optional: history },
  get_resource_temp_url: { required: { resource_id: { good: 'x', bad: [5, true, [], {}] } }, optional: {} },
  get_forwarded_messages: { required: { forward_id: anyText }, optional: {} },
  recall_message: { required: { message_id }, optional: {} },
  set_group_name: { required: { group_id, name }, optional: {} },
  set_group_avatar: { required: { group_id, image_uri: { good: PICTURE, bad: [7, true, [], {}] } }, optional: {} },
  set_group_member_card: { required: { group_id, user_id, card: { ...name, bad: name.bad.slice(1) } }, optional: {} },
  set_group_member_special_title: {
    required: { group_id, user_id, special_title: { good: 'x', bad: ['a\nb', 'x'.repeat(33), 7, []] } },
    optional: {}
  },
  set_group_member_admin: { required: { group_id, user_id }, optional: { is_set: flag } },
  set_group_member_mute: { required: { group_id, user_id }, optional: { duration: { bad: ['60', -1, 1.5, true] } } },
  set_group_whole_mute: { required: { group_id }, optional: { is_mute: flag } },
  kick_group_member: { required: { group_id, user_id }, optional: { reject_add_request: flag } },
  quit_group: { required: { group_id }, optional: {} },
  send_friend_poke: { required: { user_id }, optional: { is_self: flag } },
  send_profile_like: { required: { user_id }, optional: { count: { bad: ['1', 0, -1, 1.5, true, []] } } },
  send_group_poke: { required: { group_id, user_id }, optional: {} },
  accept_request: { required: { request_id: { ...anyText, good: 'Friend:10011' } }, optional: {} },
  reject_request: {
    required: { request_id: { ...anyText, good: 'Friend:10011' } },
    optional: { reason: { bad: [...anyText.bad, 'x'.repeat(501)] } }
  },
  get_group_announcement_list: { required: { group_id }, optional: {} },
  send_group_announcement: {
    required: { group_id, content: { good: 'news', bad: [5, true, [], {}, '', ' '] } },
    optional: { image_uri: { bad: [5, true, [], {}] } }
  },
  delete_group_announcement: {
    required: { group_id, announcement_id: { good: '1', bad: [-1, 1.5, true, [], {}] } },
    optional: {}
  },
  send_group_message_reaction: {
    required: { message_id, reaction: { good: '14', bad: [14, true, [], {}, '', 'a b'] } },
    optional: { group_id: { bad: ['100001', 0, 1.5, true, []] } }
  },
  upload_private_file: { required: { user_id, file_uri: { ...anyText, good: PICTURE } }, optional: {} },
  upload_group_file: { required: { group_id, file_uri: { ...anyText, good: PICTURE } }, optional: {} },
  get_private_file_download_url: { required: { user_id, file_id: anyText }, optional: {} },
  get_group_file_download_url: { required: { group_id, file_id: anyText }, optional: {} },
  get_group_files: { required: { group_id }, optional: { parent_folder_id: anyText } },
  move_group_file: { required: { group_id, file_id: anyText }, optional: { target_folder_id: anyText } },
  rename_group_file: {
    required: { group_id, file_id: anyText, new_name: { good: 'x', bad: ['', ...anyText.bad] } },
    optional: {}
  },
  delete_group_file: { required: { group_id, file_id: anyText }, optional: {} },
  create_group_folder: { required: { group_id, folder_name: name }, optional: {} },
  rename_group_folder: { required: { group_id, folder_id: anyText, new_name: name }, optional: {} },
  delete_group_folder: { required: { group_id, folder_id: anyText }, optional: {} }
}

t.test('every action names the parameter that is missing or wrong, with 400', async (t) => {
  t.strictSame(draftActions.map((action) => action.name).toSorted(), Object.keys(table).toSorted())
  const app = await startApp(t)
  for (const [api, { required, optional }] of Object.entries(table)) {
    const good = Object.fromEntries(Object.entries(required).map(([key, rule]) => [key, rule.good]))
    const isRefused = async (key: string, params: object): Promise<void> => {
      const answer = await app.call('token-two', api, params)
      const label = `${api} ${JSON.stringify(params).slice(0, 120)}`
      t.strictSame([answer.http, answer.status, answer.retcode], [400, 'failed', -400], label)
      t.match(answer.message, key, label)
    }
    for (const key of Object.keys(required)) {
      const { [key]: _, ...without } = good
      await isRefused(key, without)
      await isRefused(key, { ...good, [key]: null })
    }
    for (const [key, rule] of Object.entries({ ...required, ...optional })) {
      for (const value of rule.bad) await isRefused(key, { ...good, [key]: value })
    }
    const nulls = Object.fromEntries(Object.keys(optional).map((key) => [key, null]))
    const answer = await app.call('token-two', api, { ...good, ...nulls, no_such_parameter: { x: 1 } })
    t.equal(answer.http, 200, `${api}: null is absent, and what is unknown is ignored`)
  }
})
