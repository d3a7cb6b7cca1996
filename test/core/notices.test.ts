import t from 'tap'
import { findRecipients, writeNotice, type NoticeDraft } from '../../src/core/notices.ts'
import { ActionError } from '../../src/core/errors.ts'
import { refusal } from '../suites/store.ts'
import { openWorld, START, who, type World } from './world.ts'

const { member, member2, stranger, bot } = who
const draft: NoticeDraft = { audience: null, title: 'Title', message: 'Words', kind: 'info', actionUrl: '' }

/** Titles that were told since this was last asked for, with whom they were told to. */
function told({ signals }: World): string[] {
  return signals().flatMap((signal) =>
    signal.kind === 'notice.sent' ? `${signal.data.title} → ${signal.audience?.join(' ') ?? 'all'}` : []
  )
}

void t.test('a notice', async (t) => {
  t.test('is told to those it is for, and kept', async (t) => {
    const world = await openWorld(t)
    const { notices, signals } = world
    const sent = await notices.send({ ...draft, audience: [member], actionUrl: 'https://example.org/x' })
    t.strictSame(signals(), [
      {
        kind: 'notice.sent',
        time: START,
        audience: [member],
        data: {
          noticeId: sent.id,
          title: 'Title',
          message: 'Words',
          kind: 'info',
          actionUrl: 'https://example.org/x'
        }
      }
    ])
    t.strictSame(await notices.list({ accountId: member, limit: 10 }), [sent])
    t.strictSame(await notices.list({ accountId: member2, limit: 10 }), [])
    await notices.send(draft)
    t.strictSame(told(world), ['Title → all'])
  })

  t.test('is told once and in order, however many are sent at once and by whomever', async (t) => {
    const world = await openWorld(t)
    const titles = Array.from({ length: 250 }, (_, index) => `${index}`)
    await Promise.all(
      titles.map((title, index) =>
        index % 2 === 0
          ? world.notices.send({ ...draft, title })
          : // As the command line does it, which tells nobody.
            writeNotice(world.store, { ...draft, title }, START)
      )
    )
    await world.notices.send({ ...draft, title: 'last' })
    t.strictSame(
      told(world),
      [...titles, 'last'].map((title) => `${title} → all`)
    )
  })

  t.test('is in the inbox for thirty days and then nowhere', async (t) => {
    const { notices, clock, store } = await openWorld(t)
    await notices.send({ ...draft, title: 'old' })
    clock.advance(30 * 86_400_000)
    t.equal((await notices.list({ accountId: member, limit: 10 })).length, 1)
    clock.advance(1000)
    t.strictSame(await notices.list({ accountId: member, limit: 10 }), [])
    await notices.send({ ...draft, title: 'new' })
    t.match(await store.readNotices(0, 10), [{ title: 'new' }])
  })

  const wrong: [field: string, change: Partial<NoticeDraft>][] = [
    ['title', { title: '  ' }],
    ['title', { title: 'x'.repeat(201) }],
    ['message', { message: '' }],
    ['message', { message: 'x'.repeat(4001) }],
    ['action_url', { actionUrl: 'javascript:alert(1)' }],
    ['action_url', { actionUrl: '//evil.example/' }],
    ['action_url', { actionUrl: 'nonsense' }],
    ['action_url', { actionUrl: `https://example.org/${'x'.repeat(2048)}` }]
  ]
  t.test('that is malformed is refused, and told to nobody', async (t) => {
    const world = await openWorld(t)
    for (const [field, change] of wrong) {
      await t.rejects(world.notices.send({ ...draft, ...change }), new ActionError('invalid', '', { field }))
    }
    t.strictSame(told(world), [])
    t.equal(await world.store.lastNoticeId(), 0)
    await world.notices.send({
      ...draft,
      title: ` ${'😀'.repeat(200)} `,
      message: 'x'.repeat(4000),
      actionUrl: ' /there '
    })
    t.match(await world.store.readNotices(0, 10), [{ title: '😀'.repeat(200), actionUrl: '/there' }])
  })
})

void t.test('recipients', async (t) => {
  t.test('are people, by id or username, each once', async (t) => {
    const { store } = await openWorld(t)
    const { id } = await store.addAccount({ kind: 'person', nickname: 'Zoe', username: 'zoe', createdAt: START })
    t.strictSame(await findRecipients(store, ['zoe', member, `${member}`, id]), [id, member])
  })

  t.test('that are not there are all named', async (t) => {
    const { store, accounts } = await openWorld(t)
    await accounts.remove(stranger)
    const names = [member, 'nobody', bot, stranger, '99999']
    await t.rejects(
      findRecipients(store, names),
      new ActionError('invalid', `to: there is no person nobody, ${bot}, ${stranger}, 99999`, { field: 'to' })
    )
    t.equal(await refusal(findRecipients(store, [''])), 'invalid')
    t.equal(await refusal(findRecipients(store, [])), 'invalid', 'nobody is not everybody')
    t.equal(await refusal(findRecipients(store, Array(1001).fill(member))), 'invalid')
  })
})

void t.test('the action send_notice is for admins', async (t) => {
  const world = await openWorld(t)
  const params = { title: 'Title', message: 'Words', to: [member] }
  t.match(await world.dispatch(member, 'send_notice', params), {
    error: { reason: 'forbidden', details: { cause: 'role' } }
  })
  t.match(await world.dispatch(bot, 'send_notice', params), { error: { reason: 'forbidden' } })
  await world.store.setAdmin(member, true)
  t.match(await world.dispatch(member, 'send_notice', params), {
    ok: true,
    data: { notice: { title: 'Title', type: 'info', action_url: '', created_at: START }, recipients: 1 }
  })
  t.match(await world.dispatch(member, 'send_notice', { ...params, to: ['nobody'] }), {
    error: { reason: 'invalid', details: { field: 'to' } }
  })
  t.match(await world.dispatch(member, 'send_notice', { ...params, to: [] }), { error: { reason: 'invalid' } })
  t.strictSame(told(world), [`Title → ${member}`])
})
