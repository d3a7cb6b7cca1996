import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bodyOf, idOf, pageOf, perform, personOf } from '../plugins/people.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Account, Member } from '../src/core/store.ts'
import type { Gateway } from '../src/gateway.ts'
import { toBan, toMember } from '../src/protocols/imsuite-people.ts'
import { toAnswer, toPagination } from '../src/protocols/imsuite-rest.ts'

/** Who is in a chat, and what its owner and admins do about it (IM-Suite contract 1.5). */
export async function imSuiteMembers(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { groups, members, directory, dispatcher, store, now } = gateway
  const { own } = app.people
  const place = (request: FastifyRequest) => ({ chat_id: idOf(request), user_id: idOf(request, 'user_id') })
  /** The same in the words of the actions that bots know. */
  const seat = (request: FastifyRequest) => ({ group_id: idOf(request), user_id: idOf(request, 'user_id') })

  app.get('/api/chats/:id/members', own, async (request) => {
    const { id } = personOf(request).account
    const { page, limit, offset } = pageOf(request)
    const { members: found, total } = await members.list(id, idOf(request), { offset, limit })
    return toAnswer({ members: await show(id, found), pagination: toPagination({ page, limit, total }) })
  })

  app.post('/api/chats/:id/members', own, async (request, reply) => {
    const { id } = personOf(request).account
    const { user_id, members: ids, member_ids = ids, user_ids = member_ids } = bodyOf(request)
    const chatId = idOf(request)
    const added = await perform<{ user_ids: number[] }>(request, dispatcher, 'add_chat_members', {
      chat_id: chatId,
      user_ids: user_ids ?? (user_id === undefined ? undefined : [user_id])
    })
    const found = await Promise.all(added.user_ids.map((userId) => store.findMember(chatId, userId)))
    const shown = await show(
      id,
      found.flatMap((member) => member ?? [])
    )
    return reply.code(201).send(toAnswer({ members: shown, added: added.user_ids }))
  })

  app.delete('/api/chats/:id/members/:user_id', own, async (request) => {
    await perform(request, dispatcher, 'kick_group_member', seat(request))
    return toAnswer({})
  })

  app.put('/api/chats/:id/members/:user_id', own, async (request) => {
    const { role, card, title } = bodyOf(request)
    if (role !== undefined && !['owner', 'admin', 'member'].includes(role as string))
      throw new ActionError('invalid', 'role: expected "owner", "admin" or "member"', { field: 'role' })
    const set = (action: string, change: object) =>
      perform(request, dispatcher, action, { ...seat(request), ...change })
    if (card !== undefined) await set('set_group_member_card', { card })
    if (title !== undefined) await set('set_group_member_special_title', { special_title: title })
    if (role === 'owner') await perform(request, dispatcher, 'hand_over_chat', place(request))
    else if (role !== undefined) await set('set_group_member_admin', { is_set: role === 'admin' })
    return toAnswer(await get(request))
  })

  app.post('/api/chats/:id/members/:user_id/mute', own, async (request) => {
    const { duration } = bodyOf(request)
    if (typeof duration !== 'number' || duration < 1)
      throw new ActionError('invalid', 'duration: expected a number of seconds', { field: 'duration' })
    await perform(request, dispatcher, 'set_group_member_mute', { ...seat(request), duration })
    return toAnswer(await get(request))
  })

  async function unmute(request: FastifyRequest) {
    await perform(request, dispatcher, 'set_group_member_mute', { ...seat(request), duration: 0 })
    return toAnswer(await get(request))
  }
  app.post('/api/chats/:id/members/:user_id/unmute', own, unmute)
  app.delete('/api/chats/:id/members/:user_id/mute', own, unmute)

  app.post('/api/chats/:id/members/:user_id/ban', own, async (request) => {
    await perform(request, dispatcher, 'ban_chat_member', place(request))
    return toAnswer({})
  })

  app.delete('/api/chats/:id/members/:user_id/ban', own, async (request) => {
    await perform(request, dispatcher, 'unban_chat_member', place(request))
    return toAnswer({})
  })

  app.get('/api/chats/:id/bans', own, async (request) => {
    const { page, limit, offset } = pageOf(request)
    const { bans, total } = await members.listBans(personOf(request).account.id, idOf(request), { offset, limit })
    return toAnswer({ bans: bans.map(toBan), pagination: toPagination({ page, limit, total }) })
  })

  async function get(request: FastifyRequest) {
    const { id } = personOf(request).account
    const member = await groups.getMember(id, idOf(request), idOf(request, 'user_id'))
    const [shown] = await show(id, [member])
    return shown as object
  }

  async function show(viewerId: number, found: readonly Member[]) {
    const accounts = await Promise.all(found.map(({ accountId }) => store.findAccount(accountId)))
    const surrounded = await directory.surround(viewerId, accounts as Account[])
    return surrounded.map((shown, index) => toMember(found[index] as Member, shown, now()))
  }
}
