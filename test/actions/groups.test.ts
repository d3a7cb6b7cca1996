import t from 'tap'
import { actions } from '../../src/actions/index.ts'
import { GROUP, openWorld, START, who } from '../core/world.ts'

t.test('asking about friends and groups', async (t) => {
  const questions = [
    {
      action: 'get_friend_list',
      params: { no_cache: true },
      data: { friends: [{ user_id: who.stranger, sex: 'unknown' }] }
    },
    { action: 'get_friend_info', params: { user_id: who.stranger }, data: { friend: { nickname: 'stranger' } } },
    {
      action: 'get_group_list',
      params: {},
      data: { groups: [{ group_id: GROUP, group_name: 'Group', member_count: 6, created_time: START }] }
    },
    { action: 'get_group_info', params: { group_id: GROUP, no_cache: null }, data: { group: { group_id: GROUP } } },
    {
      action: 'get_group_member_info',
      params: { group_id: GROUP, user_id: who.owner },
      data: { member: { user_id: who.owner, group_id: GROUP, role: 'owner', join_time: START, last_sent_time: 0 } }
    }
  ]
  for (const { action, params, data } of questions) {
    t.test(action, async (t) => {
      const { accounts, dispatch } = await openWorld(t)
      await accounts.befriend(who.bot, who.stranger)
      t.match(await dispatch(who.bot, action, params), { ok: true, data })
    })
  }

  t.test('get_group_member_list names everybody once, and until when they are muted', async (t) => {
    const { dispatch, groups } = await openWorld(t)
    await groups.mute(who.owner, GROUP, who.member, 60)
    const outcome = await dispatch(who.bot, 'get_group_member_list', { group_id: GROUP })
    const { members } = (outcome.ok ? outcome.data : {}) as {
      members: { user_id: number; shut_up_end_time?: number }[]
    }
    t.strictSame(
      members.map((member) => [member.user_id, member.shut_up_end_time]),
      [
        [who.owner, undefined],
        [who.admin, undefined],
        [who.admin2, undefined],
        [who.member, START + 60],
        [who.member2, undefined],
        [who.bot, undefined]
      ]
    )
  })

  t.test('a mute is told until it ends, wherever a member is shown', async (t) => {
    const { dispatch, groups, setTime } = await openWorld(t)
    await groups.mute(who.owner, GROUP, who.member, 60)
    const shown = async (time: number): Promise<boolean> => {
      setTime(time)
      const outcome = await dispatch(who.bot, 'get_group_member_info', { group_id: GROUP, user_id: who.member })
      const { member } = (outcome.ok ? outcome.data : {}) as { member: object }
      return 'shut_up_end_time' in member
    }
    t.strictSame([await shown(START + 59), await shown(START + 60)], [true, false])
    await groups.mute(who.owner, GROUP, who.member, 60)
    await groups.mute(who.owner, GROUP, who.member, 0)
    t.equal(await shown(START + 61), false, 'nor when it was lifted')
  })

  t.test('a stranger is told nothing', async (t) => {
    const { dispatch } = await openWorld(t)
    for (const action of ['get_group_info', 'get_group_member_list', 'get_group_member_info'])
      t.match(
        await dispatch(who.lonelyBot, action, { group_id: GROUP, user_id: who.owner }),
        { ok: false, error: { reason: 'not_found' } },
        action
      )
  })
})

t.test('changing a group', async (t) => {
  const target = { group_id: GROUP, user_id: who.member }
  const orders = [
    { action: 'set_group_name', params: { group_id: GROUP, new_group_name: 'New' }, told: ['group.renamed'] },
    { action: 'set_group_member_card', params: { ...target, card: 'Card' }, told: [] },
    { action: 'set_group_member_card', params: { ...target, card: '' }, told: [] },
    { action: 'set_group_member_admin', params: target, told: ['admin.changed'] },
    { action: 'set_group_member_admin', params: { ...target, is_set: false }, told: [] },
    { action: 'set_group_member_mute', params: { ...target, duration: 60 }, told: ['member.muted'] },
    { action: 'set_group_member_mute', params: target, told: [] },
    { action: 'set_group_whole_mute', params: { group_id: GROUP }, told: ['group.muted'] },
    { action: 'set_group_whole_mute', params: { group_id: GROUP, is_mute: false }, told: [] },
    { action: 'kick_group_member', params: { ...target, reject_add_request: true }, told: ['member.left'] },
    { action: 'quit_group', params: { group_id: GROUP }, told: ['member.left'] }
  ]
  for (const { action, params, told } of orders) {
    t.test(`${action} ${JSON.stringify(params)} tells ${told.join() || 'nothing'}`, async (t) => {
      const { dispatch, news } = await openWorld(t)
      t.strictSame(await dispatch(who.owner, action, params), { ok: true, data: {} })
      t.strictSame(
        (await news()).map((event) => event.kind),
        told
      )
    })
  }

  const wrong = [
    { action: 'set_group_name', params: { group_id: GROUP, new_group_name: '' }, field: 'new_group_name' },
    { action: 'set_group_name', params: { group_id: GROUP, new_group_name: 'x'.repeat(65) }, field: 'new_group_name' },
    { action: 'set_group_name', params: { group_id: GROUP, new_group_name: 'a\u0007' }, field: 'new_group_name' },
    { action: 'set_group_member_card', params: { ...target, card: 'a\nb' }, field: 'card' },
    { action: 'set_group_member_mute', params: { ...target, duration: -1 }, field: 'duration' },
    { action: 'set_group_member_mute', params: { ...target, duration: 315_360_001 }, field: 'duration' },
    { action: 'set_group_member_admin', params: { ...target, is_set: 'yes' }, field: 'is_set' },
    { action: 'kick_group_member', params: { group_id: GROUP }, field: 'user_id' }
  ]
  for (const { action, params, field } of wrong) {
    t.test(`${action} ${JSON.stringify(params).slice(0, 60)} is invalid in ${field}`, async (t) => {
      const { dispatch, store } = await openWorld(t)
      const outcome = await dispatch(who.owner, action, params)
      t.match(outcome, { ok: false, error: { reason: 'invalid', details: { field } } })
      t.equal(await store.lastEventId(), 0)
    })
  }
})

t.test('every action has a name of its own, in the letters of Milky', async (t) => {
  const names = actions.map((action) => action.name)
  t.equal(new Set(names).size, names.length)
  for (const name of names) t.match(name, /^[a-z]+(_[a-z]+)+$/)
})
