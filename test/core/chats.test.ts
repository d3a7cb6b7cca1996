import t from 'tap'
import type { DraftSegment } from '../../src/core/segment.ts'
import { refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who } from './world.ts'

t.test('what a message may be', async (t) => {
  const reply: DraftSegment = { type: 'reply', seq: 1 }
  const face: DraftSegment = { type: 'face', faceId: '1' }
  const pair = '😀'
  const contents: readonly { name: string; sender?: number; segments: (string | DraftSegment)[]; outcome: string }[] = [
    { name: 'nothing', segments: [], outcome: 'invalid' },
    { name: 'empty text', segments: ['', ''], outcome: 'invalid' },
    { name: 'a reply that says nothing', segments: [reply], outcome: 'invalid' },
    { name: 'a reply with empty text', segments: [reply, ''], outcome: 'invalid' },
    { name: 'a reply with words', segments: [reply, 'yes'], outcome: 'accepted' },
    { name: 'a face alone', segments: [face], outcome: 'accepted' },
    { name: 'a mention alone', segments: [{ type: 'mention', accountId: who.admin }], outcome: 'accepted' },
    { name: 'all alone', segments: [{ type: 'mention_all' }], outcome: 'accepted' },
    { name: '10 letters of a person', segments: ['0123456789'], outcome: 'accepted' },
    { name: '11 letters of a person', segments: ['0123456789a'], outcome: 'too_large' },
    { name: '11 letters in two texts', segments: ['01234', '56789a'], outcome: 'too_large' },
    { name: '20 letters of a bot', sender: who.bot, segments: ['x'.repeat(20)], outcome: 'accepted' },
    { name: '21 letters of a bot', sender: who.bot, segments: ['x'.repeat(21)], outcome: 'too_large' },
    { name: '10 characters of two units each', segments: [pair.repeat(10)], outcome: 'accepted' },
    { name: '11 characters of two units each', segments: [pair.repeat(11)], outcome: 'too_large' },
    { name: '9 letters and one of two units', segments: [`012345678${pair}`], outcome: 'accepted' },
    { name: '10 letters and one of two units', segments: [`0123456789${pair}`], outcome: 'too_large' },
    { name: 'ten halves of a character', segments: ['\ud83d'.repeat(10)], outcome: 'accepted' },
    { name: '5 segments', segments: Array<DraftSegment>(5).fill(face), outcome: 'accepted' },
    { name: '6 segments', segments: Array<DraftSegment>(6).fill(face), outcome: 'too_large' },
    { name: 'a reply to an unknown message', segments: [{ type: 'reply', seq: 99 }, 'x'], outcome: 'not_found' }
  ]
  for (const { name, sender = who.member, segments, outcome } of contents) {
    t.test(`${name}: ${outcome}`, async (t) => {
      const { sendTo, chats, store } = await openWorld(t)
      await sendTo(who.owner, GROUP, 'first')
      t.equal(await refusal(sendTo(sender, GROUP, ...segments)), outcome)
      const seqs = (await chats.listMessages(who.owner, { chatId: GROUP, limit: 9 })).map((message) => message.seq)
      t.strictSame(seqs, outcome === 'accepted' ? [1, 2] : [1])
      t.equal((await store.readEvents(who.owner, 0, 9)).events.length, seqs.length)
    })
  }

  t.test('what was said comes back letter by letter', async (t) => {
    const { sendTo, chats } = await openWorld(t)
    for (const text of ['😀\ud83d', 'a\u0000b', '"\\\n\u2028', ' ']) {
      const { seq } = await sendTo(who.member, GROUP, text)
      t.strictSame((await chats.getMessage(who.member, GROUP, seq)).segments, [{ type: 'text', text }])
    }
  })

  t.test("a reply to another chat's message is not found, by its seq as by its id", async (t) => {
    const { sendTo, writeTo } = await openWorld(t)
    await sendTo(who.owner, GROUP, 'one')
    const elsewhere = await sendTo(who.owner, GROUP, 'two')
    const { chatId } = await writeTo(who.owner, who.member, 'private')
    t.equal(await refusal(sendTo(who.owner, chatId, { type: 'reply', seq: 2 }, 'x')), 'not_found')
    t.equal(await refusal(sendTo(who.owner, chatId, { type: 'reply', messageId: elsewhere.id }, 'x')), 'not_found')
  })
})

t.test('who may write to whom', async (t) => {
  t.test('a person writes to anybody', async (t) => {
    const { writeTo } = await openWorld(t)
    t.equal(await refusal(writeTo(who.stranger, who.owner, 'hello')), 'accepted')
    t.equal(await refusal(writeTo(who.stranger, who.lonelyBot, 'hello')), 'accepted')
  })

  const roads = [
    { name: 'a stranger', from: who.lonelyBot, to: who.stranger, outcome: 'not_found' },
    { name: 'nobody', from: who.lonelyBot, to: 4242, outcome: 'not_found' },
    { name: 'a group mate', from: who.bot, to: who.member, outcome: 'accepted' },
    { name: 'itself', from: who.bot, to: who.bot, outcome: 'invalid' }
  ]
  for (const { name, from, to, outcome } of roads) {
    t.test(`a bot to ${name}: ${outcome}`, async (t) => {
      const { writeTo, store } = await openWorld(t)
      t.equal(await refusal(writeTo(from, to, 'hello')), outcome)
      t.equal(
        (await store.listChats(from, { offset: 0, limit: 9 })).chats.some(({ chat }) => chat.kind === 'private'),
        outcome === 'accepted'
      )
    })
  }

  t.test('a person to themselves: invalid', async (t) => {
    const { writeTo } = await openWorld(t)
    t.equal(await refusal(writeTo(who.member, who.member, 'hello')), 'invalid')
  })

  t.test('a bot to a friend: accepted', async (t) => {
    const { writeTo, accounts } = await openWorld(t)
    await accounts.befriend(who.stranger, who.lonelyBot)
    t.equal(await refusal(writeTo(who.lonelyBot, who.stranger, 'hello')), 'accepted')
  })

  t.test('a bot to a person who wrote to it first: accepted, in the same chat', async (t) => {
    const { writeTo } = await openWorld(t)
    const first = await writeTo(who.stranger, who.lonelyBot, 'hello')
    t.match(await writeTo(who.lonelyBot, who.stranger, 'hello'), { chatId: first.chatId, seq: 2 })
  })

  t.test('nobody writes to who was switched off, in a new chat or an old one', async (t) => {
    const { writeTo, sendTo, accounts, chats, groups } = await openWorld(t)
    const { chatId } = await writeTo(who.member, who.stranger, 'hello')
    await accounts.remove(who.stranger)
    t.equal(await refusal(writeTo(who.member, who.stranger, 'hello?')), 'not_found')
    t.equal(await refusal(sendTo(who.member, chatId, 'hello?')), 'not_found')
    t.equal(await refusal(writeTo(who.member2, who.stranger, 'hello')), 'not_found')
    t.equal((await chats.listMessages(who.member, { chatId, limit: 9 })).length, 1, 'what was said stays')
    await accounts.remove(who.admin)
    t.equal(await refusal(sendTo(who.member, GROUP, 'hello')), 'accepted', 'a group goes on')
    await groups.kick(who.owner, GROUP, who.admin)
  })

  t.test('only who is in a chat writes there, reads there or recalls there', async (t) => {
    const { writeTo, sendTo, chats } = await openWorld(t)
    const { chatId } = await writeTo(who.member, who.member2, 'secret')
    for (const [outsider, chat] of [
      [who.owner, chatId],
      [who.stranger, GROUP],
      [who.owner, 4242]
    ] as const) {
      t.equal(await refusal(sendTo(outsider, chat, 'x')), 'not_found')
      t.equal(await refusal(chats.getMessage(outsider, chat, 1)), 'not_found')
      t.equal(await refusal(chats.listMessages(outsider, { chatId: chat, limit: 9 })), 'not_found')
      t.equal(await refusal(chats.recall(outsider, chat, 1)), 'not_found')
    }
  })
})

t.test('who is muted', async (t) => {
  t.test('does not speak until the mute ends by the clock, to the second', async (t) => {
    const { groups, sendTo, writeTo, setTime } = await openWorld(t)
    await groups.mute(who.owner, GROUP, who.member, 60)
    for (const [time, outcome] of [
      [START, 'muted'],
      [START + 59, 'muted'],
      [START + 60, 'accepted']
    ] as const) {
      setTime(time)
      t.equal(await refusal(sendTo(who.member, GROUP, 'x')), outcome, `at ${time - START} s`)
    }
    setTime(START)
    t.equal(await refusal(sendTo(who.member2, GROUP, 'x')), 'accepted', 'nobody else is')
    t.equal(await refusal(writeTo(who.member, who.owner, 'x')), 'accepted', 'nor elsewhere')
  })

  t.test('speaks again when the mute is lifted', async (t) => {
    const { groups, sendTo } = await openWorld(t)
    await groups.mute(who.owner, GROUP, who.admin, 60)
    t.equal(await refusal(sendTo(who.admin, GROUP, 'x')), 'muted')
    await groups.mute(who.owner, GROUP, who.admin, 0)
    t.equal(await refusal(sendTo(who.admin, GROUP, 'x')), 'accepted')
  })

  t.test('with the whole group, speaks if an admin or the owner', async (t) => {
    const { groups, sendTo } = await openWorld(t)
    await groups.muteAll(who.admin, GROUP, true)
    const outcomes: string[] = []
    for (const name of ['owner', 'admin', 'member', 'bot'] as const)
      outcomes.push(await refusal(sendTo(who[name], GROUP, 'x')))
    t.strictSame(outcomes, ['accepted', 'accepted', 'muted', 'muted'])
    await groups.muteAll(who.admin, GROUP, false)
    t.equal(await refusal(sendTo(who.member, GROUP, 'x')), 'accepted')
  })
})

t.test('who may recall', async (t) => {
  const rights = [
    { operator: 'member', sender: 'member', outcome: 'accepted' },
    { operator: 'member', sender: 'member2', outcome: 'forbidden' },
    { operator: 'member', sender: 'admin', outcome: 'forbidden' },
    { operator: 'admin', sender: 'member', outcome: 'accepted' },
    { operator: 'admin', sender: 'admin2', outcome: 'accepted' },
    { operator: 'admin', sender: 'owner', outcome: 'accepted' },
    { operator: 'owner', sender: 'admin', outcome: 'accepted' },
    { operator: 'owner', sender: 'owner', outcome: 'accepted' }
  ] as const
  for (const { operator, sender, outcome } of rights) {
    t.test(`${operator} what ${sender} said: ${outcome}`, async (t) => {
      const { sendTo, chats, news } = await openWorld(t)
      const { id } = await sendTo(who[sender], GROUP, 'regret')
      await news()
      t.equal(await refusal(chats.recall(who[operator], GROUP, 1)), outcome)
      const isGone = outcome === 'accepted'
      t.equal(await refusal(chats.getMessage(who.bot, GROUP, 1)), isGone ? 'not_found' : 'accepted')
      const data = { messageId: id, seq: 1, senderId: who[sender], operatorId: who[operator] }
      t.match(await news(), isGone ? [{ kind: 'message.recalled', data }] : [])
      t.equal((await sendTo(who.owner, GROUP, 'next')).seq, 2)
    })
  }

  t.test('in a private chat: the sender alone', async (t) => {
    const { writeTo, chats } = await openWorld(t)
    const { chatId } = await writeTo(who.owner, who.member, 'one')
    t.equal(await refusal(chats.recall(who.member, chatId, 1)), 'forbidden')
    t.equal(await refusal(chats.recall(who.owner, chatId, 1)), 'accepted')
  })

  t.test('what somebody said who has left: an admin, not a member', async (t) => {
    const { sendTo, chats, groups } = await openWorld(t)
    await sendTo(who.member, GROUP, 'bye')
    await groups.quit(who.member, GROUP)
    t.equal(await refusal(chats.recall(who.member2, GROUP, 1)), 'forbidden')
    t.equal(await refusal(chats.recall(who.member, GROUP, 1)), 'not_found')
    t.equal(await refusal(chats.recall(who.admin, GROUP, 1)), 'accepted')
  })

  t.test('a second time is no mistake and no news', async (t) => {
    const { sendTo, chats, news } = await openWorld(t)
    await sendTo(who.member, GROUP, 'x')
    await chats.recall(who.member, GROUP, 1)
    await news()
    await chats.recall(who.member, GROUP, 1)
    t.strictSame(await news(), [])
    t.equal(await refusal(chats.recall(who.member, GROUP, 2)), 'not_found')
  })
})
