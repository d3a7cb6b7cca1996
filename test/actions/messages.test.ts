import t from 'tap'
import { GROUP, openWorld, START, who, type World } from '../core/world.ts'

t.test('sending', async (t) => {
  t.test('answers with the seq and the time, in a group and in private', async (t) => {
    const world = await openWorld(t)
    t.strictSame(await data(world, who.bot, 'send_group_message', { group_id: GROUP, message: text('one') }), {
      message_seq: 1,
      time: START
    })
    t.match(await data(world, who.bot, 'send_group_message', { group_id: GROUP, message: text('two') }), {
      message_seq: 2
    })
    t.match(await data(world, who.bot, 'send_private_message', { user_id: who.member, message: text('one') }), {
      message_seq: 1
    })
  })

  t.test('every kind of segment is heard as it was meant', async (t) => {
    const world = await openWorld(t)
    await world.sendTo(who.owner, GROUP, 'first')
    const message = [
      { type: 'reply', data: { message_seq: 1 } },
      { type: 'text', data: { text: 'hi ', colour: 'red' } },
      { type: 'mention', data: { user_id: who.member } },
      { type: 'mention_all' },
      { type: 'face', data: { face_id: '14' } }
    ]
    await data(world, who.bot, 'send_group_message', { group_id: GROUP, message })
    const place = { message_scene: 'group', peer_id: GROUP, message_seq: 2 }
    t.match(await data(world, who.member, 'get_message', place), {
      message: {
        message_scene: 'group',
        peer_id: GROUP,
        message_seq: 2,
        sender_id: who.bot,
        time: START,
        segments: [
          { type: 'reply', data: { message_seq: 1, sender_id: who.owner, time: START } },
          { type: 'text', data: { text: 'hi ' } },
          { type: 'mention', data: { user_id: who.member, name: 'member' } },
          { type: 'mention_all', data: {} },
          { type: 'face', data: { face_id: '14', is_large: false } }
        ],
        group: { group_id: GROUP, group_name: 'Group', member_count: 6 },
        group_member: { user_id: who.bot, nickname: 'bot', role: 'member', last_sent_time: START }
      }
    })
  })

  t.test('a private chat is not reached by calling it a group', async (t) => {
    const world = await openWorld(t)
    const { chatId } = await world.writeTo(who.member, who.bot, 'secret')
    const calls = [
      ['send_group_message', { group_id: chatId, message: text('x') }],
      ['recall_group_message', { group_id: chatId, message_seq: 1 }],
      ['get_message', { message_scene: 'group', peer_id: chatId, message_seq: 1 }],
      ['get_history_messages', { message_scene: 'group', peer_id: chatId }],
      ['get_group_info', { group_id: chatId }],
      ['get_group_member_list', { group_id: chatId }],
      ['set_group_name', { group_id: chatId, new_group_name: 'x' }],
      ['kick_group_member', { group_id: chatId, user_id: who.member }],
      ['quit_group', { group_id: chatId }]
    ] as const
    for (const [action, params] of calls)
      t.match(await world.dispatch(who.bot, action, params), { ok: false, error: { reason: 'not_found' } }, action)
  })
})

t.test('reading history', async (t) => {
  t.test('page by page from the newest, each message once, until there is no more', async (t) => {
    const world = await openWorld(t)
    for (let count = 1; count <= 7; count++) await world.sendTo(who.owner, GROUP, `${count}`)
    await world.chats.recall(who.owner, GROUP, 4)
    const pages: number[][] = []
    // Clients begin with nothing, null or 0.
    for (const start of [undefined, null, 0]) {
      pages.length = 0
      let from: number | null | undefined = start
      do {
        const page: { messages: { message_seq: number }[]; next_message_seq?: number } = await data(
          world,
          who.bot,
          'get_history_messages',
          { message_scene: 'group', peer_id: GROUP, start_message_seq: from, limit: 3 }
        )
        pages.push(page.messages.map((message) => message.message_seq))
        from = page.next_message_seq
      } while (from !== undefined)
      t.strictSame(
        pages,
        [
          [5, 6, 7],
          [1, 2, 3]
        ],
        `from ${start}`
      )
    }
  })

  t.test('shows the other side of a private chat, also one who was switched off', async (t) => {
    const world = await openWorld(t)
    await world.writeTo(who.stranger, who.bot, 'hello')
    await world.accounts.remove(who.stranger)
    t.match(await data(world, who.bot, 'get_history_messages', { message_scene: 'friend', peer_id: who.stranger }), {
      messages: [{ message_scene: 'friend', peer_id: who.stranger, friend: { user_id: who.stranger, remark: '' } }]
    })
  })

  t.test('shows who has left as the sender of what they said', async (t) => {
    const world = await openWorld(t)
    await world.sendTo(who.member, GROUP, 'bye')
    await world.groups.quit(who.member, GROUP)
    t.match(await data(world, who.bot, 'get_history_messages', { message_scene: 'group', peer_id: GROUP }), {
      messages: [{ sender_id: who.member, group_member: { user_id: who.member, nickname: 'member', join_time: 0 } }]
    })
  })

  for (const limit of [0, 31, -1, 1.5])
    t.test(`${limit} messages at once are not to be had`, async (t) => {
      const { dispatch } = await openWorld(t)
      const outcome = await dispatch(who.bot, 'get_history_messages', { message_scene: 'group', peer_id: GROUP, limit })
      t.match(outcome, { ok: false, error: { reason: 'invalid', details: { field: 'limit' } } })
    })
})

t.test('recalling, in a group and in private', async (t) => {
  const world = await openWorld(t)
  await world.sendTo(who.bot, GROUP, 'one')
  await world.writeTo(who.bot, who.member, 'two')
  await data(world, who.bot, 'recall_group_message', { group_id: GROUP, message_seq: 1 })
  await data(world, who.bot, 'recall_private_message', { user_id: who.member, message_seq: 1 })
  for (const place of [
    { message_scene: 'group', peer_id: GROUP },
    { message_scene: 'friend', peer_id: who.member }
  ]) {
    const outcome = await world.dispatch(who.bot, 'get_message', { ...place, message_seq: 1 })
    t.match(outcome, { ok: false, error: { reason: 'not_found' } })
  }
})

t.test('a person sends', async (t) => {
  t.test('to a chat, or to somebody, and answers by message id', async (t) => {
    const world = await openWorld(t)
    const first = await data(world, who.member, 'send_chat_message', { receiver_id: who.bot, content: ' hi ' })
    t.match(first, { seq: 1, created_at: START })
    const params = { chat_id: first.chat_id, content: 'yes', reply_to_id: first.message_id, message_type: 'text' }
    t.match(await data(world, who.bot, 'send_chat_message', params), { seq: 2, chat_id: first.chat_id })
    t.match(await world.chats.listMessages(who.member, { chatId: first.chat_id, limit: 2 }), [
      { segments: [{ type: 'text', text: 'hi' }] },
      {
        segments: [
          { type: 'reply', messageId: first.message_id, seq: 1 },
          { type: 'text', text: 'yes' }
        ]
      }
    ])
  })

  const refused = [
    { name: 'nowhere', params: { content: 'x' }, field: 'chat_id' },
    { name: 'blanks', params: { chat_id: GROUP, content: ' \n ' }, field: 'content' },
    {
      name: 'a picture without a file',
      params: { chat_id: GROUP, content: 'x', message_type: 'image' },
      field: 'file_id'
    },
    { name: 'for a while', params: { chat_id: GROUP, content: 'x', ttl_seconds: 5 }, field: 'ttl_seconds' },
    { name: 'later', params: { chat_id: GROUP, content: 'x', send_at: 5 }, field: 'send_at' }
  ]
  for (const { name, params, field } of refused) {
    t.test(`${name}: refused, naming ${field}`, async (t) => {
      const { dispatch, store } = await openWorld(t)
      const outcome = await dispatch(who.member, 'send_chat_message', params)
      t.match(outcome, { ok: false, error: { reason: 'invalid', details: { field } } })
      t.equal(await store.lastEventId(), 0)
    })
  }
})

function text(words: string): object[] {
  return [{ type: 'text', data: { text: words } }]
}

/** The data of a call that must succeed. */
async function data({ dispatch }: World, callerId: number, action: string, params: object): Promise<any> {
  const outcome = await dispatch(callerId, action, params)
  if (!outcome.ok) throw outcome.error
  return outcome.data
}
