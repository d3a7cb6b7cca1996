import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { startApp, world, type ApiAnswer, type Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { faultOfEvent } from '../helpers/milky-judge.ts'
import { png } from '../helpers/pictures.ts'
import { alice, bob, GROUP, request, startPeople, tokenOf } from '../helpers/people.ts'
import { openSocket } from '../helpers/socket.ts'

const picture = (colour = 0): string => `base64://${png(2, 2, colour).toString('base64')}`

async function ok(t: Test, answer: Promise<ApiAnswer>): Promise<any> {
  const { data, ...rest } = await answer
  t.match(rest, { http: 200, status: 'ok', retcode: 0 }, rest.message ?? 'works')
  return data
}

async function failed(t: Test, answer: Promise<ApiAnswer>, retcode: number, words: RegExp): Promise<void> {
  t.match(await answer, { http: 200, status: 'failed', retcode, message: words })
}

/** What a bot hears from now on: of Milky 1.2, strictly judged, and of the draft. */
async function listen(t: Test, app: Running, token: string) {
  const events = await openSocket(t, `${app.ws}/event?access_token=${token}`)
  const draft = await openSocket(t, `${app.ws}/?access_token=${token}`)
  return {
    next: async (): Promise<any> => {
      const event = await events.next()
      t.equal(faultOfEvent(event), undefined)
      return { event_type: event.event_type, data: event.data }
    },
    nextDraft: async (): Promise<any> => {
      const { event_type, data } = (await draft.next()).data
      return { event_type, data }
    }
  }
}

t.test('friend requests of people', async (t) => {
  t.test('are heard, listed and accepted in the words of Milky 1.2', async (t) => {
    const app = await startPeople(t)
    const bot = await listen(t, app, 'token-one')
    const token = await tokenOf(alice)
    const added = await request(app, token, 'POST', '/api/contacts', { user_id: 10001, comment: ' hello, bot ' })
    t.match(added, { status: 201, body: { contact_id: 10001 } })
    t.strictSame(await bot.next(), {
      event_type: 'friend_request',
      data: { initiator_id: alice, initiator_uid: '10011', comment: 'hello, bot', via: 'contacts' }
    })
    const { requests } = await ok(t, app.milky('token-one', 'get_friend_requests'))
    const { time, ...shown } = requests[0]
    t.ok(Math.abs(time - Date.now() / 1000) < 60)
    t.strictSame(shown, {
      initiator_id: alice,
      initiator_uid: '10011',
      target_user_id: 10001,
      target_user_uid: '10001',
      state: 'pending',
      comment: 'hello, bot',
      via: 'contacts',
      is_filtered: false
    })
    t.strictSame(await ok(t, app.milky('token-one', 'get_friend_requests', { is_filtered: true })), { requests: [] })
    t.strictSame(await ok(t, app.milky('token-one', 'get_friend_requests', { limit: 0 })), { requests: [] })
    t.strictSame(await ok(t, app.milky('token-two', 'get_friend_requests')), { requests: [] })

    for (const uid of ['10012', '4242', 'x', '', '010011', '10011 '])
      await failed(
        t,
        app.milky('token-one', 'accept_friend_request', { initiator_uid: uid }),
        -404,
        /there is no request/
      )
    const filtered = { initiator_uid: '10011', is_filtered: true }
    await failed(t, app.milky('token-one', 'accept_friend_request', filtered), -404, /10011/)
    await failed(t, app.milky('token-two', 'accept_friend_request', { initiator_uid: '10011' }), -404, /10011/)
    await failed(t, app.milky('token-one', 'accept_friend_request', { initiator_uid: 10011 }), -400, /initiator_uid/)

    const uid = { initiator_uid: '10011' }
    for (let again = 0; again < 2; again++)
      t.strictSame(await ok(t, app.milky('token-one', 'accept_friend_request', uid)), {})
    t.match(await ok(t, app.milky('token-one', 'get_friend_list')), { friends: [{ user_id: alice }] })
    t.match(await ok(t, app.milky('token-one', 'get_friend_requests')), { requests: [{ state: 'accepted' }] })
    await failed(t, app.milky('token-one', 'reject_friend_request', uid), -103, /accepted already/)
    const { notifications } = (await request(app, token, 'GET', '/api/notifications')).body
    t.match(notifications, [{ title: /^One.*has accepted your request/, type: 'info' }])
    t.equal(notifications.length, 1)
  })

  t.test('are rejected with a reason that the person hears', async (t) => {
    const app = await startPeople(t)
    const token = await tokenOf(alice)
    const device = await openSocket(t, `${app.ws}/ws?token=${token}`)
    await device.next()
    await request(app, token, 'POST', '/api/contacts', { user_id: 10001 })
    const answer = { initiator_uid: '10011', reason: 'only for colleagues' }
    await failed(
      t,
      app.milky('token-one', 'reject_friend_request', { ...answer, reason: 'x'.repeat(501) }),
      -400,
      /reason/
    )
    t.strictSame(await ok(t, app.milky('token-one', 'reject_friend_request', answer)), {})
    const notice = await device.find(({ type }) => type === 'notification')
    t.match(notice.payload, { title: /^One.*has rejected your request/, message: 'only for colleagues' })
    await failed(t, app.milky('token-one', 'reject_friend_request', answer), -103, /rejected already/)
    t.match(await ok(t, app.milky('token-one', 'get_friend_requests')), { requests: [{ state: 'rejected' }] })
    t.strictSame(await ok(t, app.milky('token-one', 'get_friend_list')), { friends: [] })
    t.match(await request(app, token, 'POST', '/api/contacts', { user_id: 10001, comment: 'x'.repeat(501) }), {
      status: 400,
      body: { details: { field: 'comment' } }
    })
  })

  t.test('are heard and answered in the words of the draft', async (t) => {
    const app = await startPeople(t)
    const bot = await listen(t, app, 'token-one')
    for (const [account, answer] of [
      [alice, 'accept_request'],
      [bob, 'reject_request']
    ] as const) {
      await request(app, await tokenOf(account), 'POST', '/api/contacts', { user_id: 10001, comment: 'hello' })
      const { event_type, data } = await bot.nextDraft()
      t.equal(event_type, 'friend_request')
      t.strictSame(data, { request_id: `Friend:${account}`, operator_id: account, comment: 'hello', via: 'contacts' })
      const { request_id } = data
      t.strictSame(await ok(t, app.call('token-one', answer, { request_id, reason: 'no' })), {})
    }
    t.match(await ok(t, app.call('token-one', 'get_friend_list')), { friends: [{ user_id: alice }] })
    const { notifications } = (await request(app, await tokenOf(bob), 'GET', '/api/notifications')).body
    t.match(notifications, [{ message: 'no' }])
    for (const api of ['accept_request', 'reject_request'])
      for (const request_id of ['', 'Friend:', 'Friend:4242', 'friend:10011', 'Join:100001:1', 'Invitation:100001:99'])
        await failed(t, app.call('token-one', api, { request_id }), -100, /there is no|not/)
    await failed(t, app.call('token-one', 'accept_request', { request_id: `Friend:${bob}` }), -103, /rejected/)
  })

  t.test('need no answer of a bot that lets everybody in', async (t) => {
    const bots = [{ ...world.bots[0], friend_requests: 'accept' }, world.bots[1]]
    const app = await startPeople(t, { bots: bots as unknown as object })
    const bot = await listen(t, app, 'token-one')
    const token = await tokenOf(alice)
    await request(app, token, 'POST', '/api/contacts', { user_id: 10001 })
    t.match(await bot.next(), { event_type: 'friend_request', data: { initiator_id: alice } })
    t.match(await ok(t, app.milky('token-one', 'get_friend_list')), { friends: [{ user_id: alice }] })
    t.match(await ok(t, app.milky('token-one', 'get_friend_requests')), { requests: [{ state: 'accepted' }] })
    t.strictSame((await request(app, token, 'GET', '/api/notifications')).body.notifications, [])
    await request(app, token, 'DELETE', '/api/contacts/10001')
    t.strictSame(await ok(t, app.milky('token-one', 'get_friend_list')), { friends: [] })
  })
})

t.test('bots ask bots, and nobody else, in both dialects', async (t) => {
  const app = await startPeople(t)
  const two = await listen(t, app, 'token-two')
  const ask = { user_id: 10002, comment: 'shall we?' }
  t.strictSame(await ok(t, app.call('token-one', 'send_friend_request', ask)), {})
  const raw = await fetch(`${app.url}/api/send_friend_request`, {
    method: 'POST',
    headers: { authorization: 'Bearer token-one', 'content-type': 'application/json' },
    body: JSON.stringify(ask)
  })
  t.strictSame(await raw.json(), { status: 'ok', retcode: 0, data: {} })
  const data = { initiator_id: 10001, initiator_uid: '10001', comment: 'shall we?', via: 'bot' }
  t.strictSame(await two.next(), { event_type: 'friend_request', data })
  t.match(await two.nextDraft(), { data: { request_id: 'Friend:10001' } })
  t.strictSame(await ok(t, app.milky('token-one', 'get_friend_list')), { friends: [] })
  await ok(t, app.milky('token-two', 'accept_friend_request', { initiator_uid: '10001' }))
  t.match(await ok(t, app.milky('token-one', 'get_friend_list')), { friends: [{ user_id: 10002 }] })
  t.equal((await ok(t, app.milky('token-two', 'get_friend_requests'))).requests.length, 1)
  await failed(t, app.call('token-one', 'send_friend_request', { user_id: alice }), -101, /people add the bot/)
  await failed(t, app.call('token-one', 'send_friend_request', { user_id: 4242 }), -100, /4242/)
})

t.test('delete_friend', async (t) => {
  const app = await startApp(t)
  t.strictSame(await ok(t, app.milky('token-two', 'delete_friend', { user_id: 10001 })), {})
  for (const token of ['token-one', 'token-two'])
    t.notMatch(JSON.stringify(await ok(t, app.milky(token, 'get_friend_list'))), /10001|10002/)
  await failed(t, app.milky('token-two', 'delete_friend', { user_id: 10001 }), -404, /no friend 10001/)
  await failed(t, app.milky('token-two', 'delete_friend', { user_id: 10002 }), -404, /no friend 10002/)
  await failed(t, app.milky('token-two', 'delete_friend', {}), -400, /user_id/)
})

t.test('nudges', async (t) => {
  t.test('are heard by both sides of a private chat, in both dialects', async (t) => {
    const app = await startApp(t)
    const [one, two] = [await listen(t, app, 'token-one'), await listen(t, app, 'token-two')]
    const display = { display_action: '', display_suffix: '', display_action_img_url: '' }
    const nudge = (is_self_send: boolean, is_self_receive: boolean) => ({ is_self_send, is_self_receive })
    t.strictSame(await ok(t, app.milky('token-one', 'send_friend_nudge', { user_id: 10002 })), {})
    t.strictSame(await ok(t, app.call('token-one', 'send_friend_poke', { user_id: 10002, is_self: true })), {})
    for (const [ear, user_id, seen] of [
      [one, 10002, [nudge(true, false), nudge(true, true)]],
      [two, 10001, [nudge(false, true), nudge(false, false)]]
    ] as const)
      for (const flags of seen) {
        t.strictSame(await ear.next(), { event_type: 'friend_nudge', data: { user_id, ...flags, ...display } })
        t.strictSame(await ear.nextDraft(), { event_type: 'friend_poke', data: { user_id, ...flags } })
      }
    await failed(t, app.milky('token-two', 'send_friend_nudge', { user_id: 4242 }), -404, /4242/)
    await failed(t, app.milky('token-two', 'send_friend_nudge', { user_id: 10002 }), -400, /user_id|yourself/)
    await failed(t, app.milky('token-two', 'send_friend_nudge', { user_id: 10001, is_self: 'yes' }), -400, /is_self/)
  })

  t.test('are heard in a group, of members who may speak', async (t) => {
    const app = await startApp(t)
    const two = await listen(t, app, 'token-two')
    const target = { group_id: GROUP, user_id: alice }
    t.strictSame(await ok(t, app.milky('token-two', 'send_group_nudge', target)), {})
    t.strictSame(await ok(t, app.call('token-two', 'send_group_poke', { ...target, user_id: 10002 })), {})
    for (const receiver_id of [alice, 10002]) {
      const data = { group_id: GROUP, sender_id: 10002, receiver_id }
      t.match(await two.next(), { event_type: 'group_nudge', data })
      t.strictSame(await two.nextDraft(), { event_type: 'group_poke', data })
    }
    for (const wrong of [{ user_id: 4242 }, { group_id: 100099 }, { group_id: 1_000_000_001 }])
      await failed(t, app.milky('token-two', 'send_group_nudge', { ...target, ...wrong }), -404, /not|no/)
    await ok(t, app.milky('token-one', 'set_group_member_mute', { ...target, user_id: 10002, duration: 60 }))
    await failed(t, app.milky('token-two', 'send_group_nudge', target), -102, /muted/)
  })

  t.test('of people are seen by devices of the extension profile, and by bots', async (t) => {
    const app = await startPeople(t)
    const bot = await listen(t, app, 'token-one')
    const device = await openSocket(t, `${app.ws}/ws?token=${await tokenOf(bob)}&ext=1`)
    await device.next()
    const token = await tokenOf(alice)
    const nudge = (chatId: number, user_id: unknown) =>
      request(app, token, 'POST', `/api/chats/${chatId}/nudge`, { user_id })
    t.match(await nudge(GROUP, bob), { status: 200, body: { success: true } })
    t.match(await bot.next(), { event_type: 'group_nudge', data: { sender_id: alice, receiver_id: bob } })
    t.match(await device.next(), {
      type: 'chat.nudge',
      payload: { chat_id: GROUP, from_user: alice, to_user: bob }
    })
    const opened = await request(app, token, 'POST', '/api/chats', { type: 'private', members: [10001] })
    t.match(await nudge(opened.body.id, alice), { status: 200 })
    t.match(await bot.next(), {
      event_type: 'friend_nudge',
      data: { user_id: alice, is_self_send: false, is_self_receive: false }
    })
    t.match(await nudge(opened.body.id, bob), { status: 404, body: { details: { field: 'user_id' } } })
    t.match(await nudge(opened.body.id + 1, bob), { status: 404 })
    t.match(await nudge(GROUP, undefined), { status: 400, body: { details: { field: 'user_id' } } })
  })
})

t.test('likes', async (t) => {
  const app = await startPeople(t)
  const token = await tokenOf(alice)
  const like = { user_id: alice }
  t.strictSame(await ok(t, app.milky('token-one', 'send_profile_like', like)), {})
  t.strictSame(await ok(t, app.call('token-one', 'send_profile_like', { ...like, count: 9 })), {})
  await failed(t, app.milky('token-one', 'send_profile_like', like), -101, /10 times a day; 0 are left/)
  await failed(t, app.milky('token-one', 'send_profile_like', { ...like, count: 0 }), -400, /count/)
  await failed(t, app.milky('token-one', 'send_profile_like', { user_id: 4242 }), -404, /4242/)
  t.match(await request(app, await tokenOf(bob), 'POST', `/api/users/${alice}/likes`, { count: 2 }), { status: 200 })
  t.match(await request(app, await tokenOf(bob), 'POST', `/api/users/${alice}/likes`), { status: 200 })
  const { body } = await request(app, token, 'GET', '/api/users/me/likes')
  const likes = {
    total: 13,
    today: [
      { user_id: 10001, count: 10 },
      { user_id: bob, count: 3 }
    ]
  }
  t.strictSame(body, { success: true, ...likes, data: likes })
  t.match(await request(app, token, 'POST', `/api/users/${alice}/likes`), { status: 403 })
  t.match(await request(app, token, 'POST', '/api/users/4242/likes'), { status: 404 })
  t.match(await request(app, token, 'POST', `/api/users/${bob}/likes`, { count: 11 }), { status: 403 })
  await request(app, token, 'POST', '/api/contacts/10001/block')
  await failed(t, app.milky('token-one', 'send_profile_like', like), -101, /blocked/)
})

t.test('pins', async (t) => {
  t.test('of bots are listed, and told to the bot itself', async (t) => {
    const app = await startApp(t)
    const one = await listen(t, app, 'token-one')
    const set = (message_scene: string, peer_id: number, is_pinned?: boolean | null) =>
      app.milky('token-one', 'set_peer_pin', { message_scene, peer_id, is_pinned })
    const pins = async () => {
      const { friends, groups } = await ok(t, app.milky('token-one', 'get_peer_pins'))
      return [
        friends.map((friend: { user_id: number }) => friend.user_id),
        groups.map((group: { group_id: number }) => group.group_id)
      ]
    }
    t.strictSame(await pins(), [[], []])
    t.strictSame(await ok(t, set('friend', 10002)), {})
    await ok(t, set('temp', alice, null))
    await ok(t, set('temp', alice, true))
    await ok(t, set('group', GROUP, true))
    t.strictSame(
      (await pins()).map((ids) => ids.toSorted()),
      [[10002, alice], [GROUP]]
    )
    for (const [message_scene, peer_id] of [
      ['friend', 10002],
      ['friend', alice],
      ['group', GROUP]
    ])
      t.strictSame(await one.next(), {
        event_type: 'peer_pin_change',
        data: { message_scene, peer_id, is_pinned: true }
      })
    await ok(t, set('friend', 10002, false))
    t.match(await one.next(), { data: { peer_id: 10002, is_pinned: false } })
    await ok(t, app.milky('token-one', 'delete_friend', { user_id: alice }))
    t.strictSame(await pins(), [[], [GROUP]])
    for (const [scene, id] of [
      ['friend', 4242],
      ['friend', alice],
      ['group', 100099],
      ['friend', 10001]
    ] as const)
      await failed(t, set(scene, id), -404, new RegExp(`${id}`))
    await failed(t, set('private', 10002), -400, /message_scene/)
    const { waiting } = await openSocket(t, `${app.ws}/?access_token=token-one`)
    t.strictSame(waiting(), [], 'the draft has no word for it')
  })

  t.test('of people show in their lists of chats', async (t) => {
    const app = await startPeople(t)
    const token = await tokenOf(alice)
    const device = await openSocket(t, `${app.ws}/ws?token=${token}&ext=1`)
    await device.next()
    const { id } = (await request(app, token, 'POST', '/api/chats', { type: 'private', members: [bob] })).body
    const pinned = async () => {
      const { chats } = (await request(app, token, 'GET', '/api/chats')).body
      const { dialogs } = (await request(app, token, 'GET', '/api/messages/dialogs')).body
      const inDialogs = dialogs.filter((one: any) => one.pinned).map((one: any) => one.chat_id)
      const inChats = chats.filter((one: any) => one.is_pinned).map((one: any) => one.id)
      t.strictSame(inDialogs, inChats)
      return inChats
    }
    for (const [chatId, frame] of [
      [id, { peer_type: 'user', peer_id: bob, is_pinned: true }],
      [GROUP, { peer_type: 'group', peer_id: GROUP, is_pinned: true }]
    ] as const) {
      const answer = await request(app, token, 'PUT', `/api/chats/${chatId}/pin`)
      t.match(answer, { status: 200, body: { success: true, is_pinned: true } })
      t.match(await device.next(), { type: 'chat.pinned', payload: frame })
    }
    t.strictSame(new Set(await pinned()), new Set([GROUP, id]))
    t.match((await request(app, token, 'GET', `/api/chats/${id}`)).body, { is_pinned: true })
    t.match((await request(app, await tokenOf(bob), 'GET', `/api/chats/${id}`)).body, { is_pinned: false })
    t.match(await request(app, token, 'DELETE', `/api/chats/${GROUP}/pin`), { body: { is_pinned: false } })
    t.strictSame(await pinned(), [id])
    for (const method of ['PUT', 'DELETE'])
      for (const unknown of [100099, id + 1])
        t.match(await request(app, token, method, `/api/chats/${unknown}/pin`), { status: 404 })
  })
})

t.test('profiles', async (t) => {
  t.test('the gateway says what it is', async (t) => {
    const app = await startApp(t)
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    t.strictSame(await ok(t, app.milky('token-one', 'get_impl_info')), {
      impl_name: 'Lactea',
      impl_version: version,
      qq_protocol_version: '',
      qq_protocol_type: 'linux',
      milky_version: '1.2'
    })
  })

  t.test('of anybody are shown, and one’s own changes for everybody', async (t) => {
    const app = await startApp(t)
    const profile = (user_id: number) => ok(t, app.milky('token-one', 'get_user_profile', { user_id }))
    const unknown = { age: 0, sex: 'unknown', level: 0, country: '', city: '', school: '' }
    t.strictSame(await profile(alice), { ...unknown, nickname: 'Alice', qid: 'alice', remark: '', bio: '' })
    await app.lactea.gateway.store.updateContact(10001, alice, { remark: 'Al' })
    t.match(await profile(alice), { remark: 'Al' })

    t.strictSame(await ok(t, app.milky('token-two', 'set_nickname', { new_nickname: ' Deux ' })), {})
    t.strictSame(await ok(t, app.milky('token-two', 'set_bio', { new_bio: 'I am a bot\nof two lines' })), {})
    t.match(await profile(10002), { nickname: 'Deux', qid: '', bio: 'I am a bot\nof two lines' })
    t.match(await ok(t, app.milky('token-two', 'get_login_info')), { nickname: 'Deux' })
    t.match(await ok(t, app.milky('token-one', 'get_friend_info', { user_id: 10002 })), {
      friend: { nickname: 'Deux' }
    })
    const member = { group_id: GROUP, user_id: 10002 }
    t.match(await ok(t, app.milky('token-one', 'get_group_member_info', member)), { member: { nickname: 'Deux' } })
    const one = await listen(t, app, 'token-one')
    const message = [{ type: 'text', data: { text: 'hello' } }]
    await ok(t, app.milky('token-two', 'send_private_message', { user_id: 10001, message }))
    t.match(await one.next(), { data: { friend: { nickname: 'Deux' } } })
    await ok(t, app.milky('token-two', 'set_nickname', { new_nickname: 'Zwei' }))
    await ok(t, app.milky('token-two', 'send_private_message', { user_id: 10001, message }))
    t.match(await one.next(), { data: { friend: { nickname: 'Zwei' } } })

    for (const [api, field, values] of [
      ['set_nickname', 'new_nickname', ['', '  ', 'x'.repeat(65), 'a\nb', 7]],
      ['set_bio', 'new_bio', ['x'.repeat(501), 7]]
    ] as const)
      for (const value of values)
        await failed(t, app.milky('token-two', api, { [field]: value }), -400, new RegExp(`^${field}`))
    await app.lactea.gateway.accounts.remove(10002)
    for (const user_id of [10002, 4242])
      await failed(t, app.milky('token-one', 'get_user_profile', { user_id }), -404, /does not exist/)
  })

  t.test('have a picture that goes with the next one, with its bytes', async (t) => {
    const app = await startApp(t)
    const { store, blobs } = app.lactea.gateway
    const isKept = async (sha256: string) =>
      (await store.isContentUsed(sha256)) || (await blobs.read(sha256, { start: 0, end: 1 })) !== undefined
    async function set(uri: string) {
      t.strictSame(await ok(t, app.milky('token-one', 'set_avatar', { uri })), {})
      const { avatarUrl } = (await store.findAccount(10001)) as { avatarUrl: string }
      const response = await fetch(`${app.url}${avatarUrl}`)
      t.match(response, { status: 200 })
      await response.arrayBuffer()
      const id = Number(/files\/(\d+)/.exec(avatarUrl)?.[1])
      return { id, avatarUrl, sha256: (await store.findFile(id))?.sha256 ?? '' }
    }
    const first = await set(picture(1))
    const second = await set(picture(2))
    t.equal(await store.findFile(first.id), undefined)
    t.notOk(await isKept(first.sha256))
    t.equal((await fetch(`${app.url}${first.avatarUrl}`)).status, 403, 'the link is good no more')

    const third = await set(picture(2))
    t.equal(await store.findFile(second.id), undefined, 'the same bytes again')
    t.equal((await fetch(`${app.url}${third.avatarUrl}`)).status, 200)

    for (const [uri, words] of [
      ['base64://aGVsbG8=', /^uri: a file of type/],
      ['nonsense', /^uri/],
      ['base64://', /uri/]
    ] as const)
      await failed(t, app.milky('token-one', 'set_avatar', { uri }), -400, words)
    t.match(await store.findAccount(10001), { avatarUrl: third.avatarUrl })
    t.strictSame(await store.listLooseContents(9), [], 'nothing is left of what was refused')
  })

  t.test('of people lose their former picture, too', async (t) => {
    const app = await startPeople(t)
    const { store } = app.lactea.gateway
    const token = await tokenOf(alice)
    async function upload(colour: number): Promise<{ id: number; url: string }> {
      const form = new FormData()
      form.append('file', new Blob([png(2, 2, colour)]), 'me.png')
      const headers = { authorization: `Bearer ${token}` }
      const response = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
      return (await response.json()) as { id: number; url: string }
    }
    const show = (avatar_url: string) => request(app, token, 'PUT', '/api/users/me', { avatar_url })
    const [first, second] = [await upload(1), await upload(2)]
    await show(first.url)
    await request(app, token, 'POST', '/api/messages', { chat_id: GROUP, file_id: second.id })
    await show(second.url)
    t.equal(await store.findFile(first.id), undefined)
    t.match(await show(''), { status: 200, body: { avatar_url: '' } })
    t.ok(await store.findFile(second.id), 'a message shows it')
    t.strictSame(await store.listLooseContents(9), [])
  })

  t.test('a name that a bot gave itself stays, until the configuration names another one', async (t) => {
    const dir = makeDirectory(t)
    const start = (nickname: string) =>
      startApp(t, { config: { bots: [{ ...world.bots[0], nickname }], provision: {} }, dir })
    const first = await start('One')
    await ok(t, first.milky('token-one', 'set_nickname', { new_nickname: 'Uno' }))
    await first.lactea.app.close()
    const second = await start('One')
    t.match(await ok(t, second.milky('token-one', 'get_login_info')), { nickname: 'Uno' })
    await second.lactea.app.close()
    const third = await start('Eins')
    t.match(await ok(t, third.milky('token-one', 'get_login_info')), { nickname: 'Eins' })
  })
})

t.test('stickers that were sent are custom faces, while they are shown', async (t) => {
  const app = await startApp(t)
  const sticker = (colour: number, sub_type = 'sticker') => [
    { type: 'image', data: { uri: picture(colour), sub_type } }
  ]
  const say = async (message: object[]): Promise<number> =>
    (await ok(t, app.milky('token-one', 'send_group_message', { group_id: GROUP, message }))).message_seq
  const faces = async (): Promise<string[]> => (await ok(t, app.milky('token-one', 'get_custom_face_url_list'))).urls
  t.strictSame(await faces(), [])
  const first = await say(sticker(1))
  await say(sticker(2))
  await say(sticker(2))
  await say(sticker(3, 'normal'))
  const urls = await faces()
  t.equal(urls.length, 2)
  const bytes = await Promise.all(urls.map(async (url) => Buffer.from(await (await fetch(url)).arrayBuffer())))
  t.strictSame(
    new Set(bytes.map((one) => one.toString('base64'))),
    new Set([1, 2].map((colour) => png(2, 2, colour).toString('base64')))
  )
  await ok(t, app.milky('token-one', 'recall_group_message', { group_id: GROUP, message_seq: first }))
  t.equal((await faces()).length, 1)
  t.strictSame((await ok(t, app.milky('token-two', 'get_custom_face_url_list'))).urls, [])
})

t.test('there is no web session, which is no mistake of the question', async (t) => {
  const app = await startApp(t)
  await failed(t, app.milky('token-one', 'get_cookies', { domain: 'example.org' }), -404, /no web session/)
  await failed(t, app.milky('token-one', 'get_csrf_token'), -404, /no web session/)
  await failed(t, app.milky('token-one', 'get_cookies'), -400, /^domain/)
})
