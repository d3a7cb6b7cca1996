import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bodyOf, idOf, pageOf, perform, personOf } from '../plugins/people.ts'
import type { GroupRequest } from '../src/core/group-request-store.ts'
import type { Account } from '../src/core/store.ts'
import type { Gateway } from '../src/gateway.ts'
import { toInvitation, toRequest } from '../src/protocols/imsuite-people.ts'
import { toAnswer, toPagination } from '../src/protocols/imsuite-rest.ts'

/** Who wants to come into a group, and whom a group wants (beyond IM-Suite contract 1.5). */
export async function imSuiteRequests(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { groupRequests, dispatcher, store } = gateway
  const { own } = app.people

  app.post('/api/chats/:id/requests', own, async (request, reply) => {
    const { comment } = bodyOf(request)
    return ask(request, reply, 'request_group_join', { comment })
  })

  app.post('/api/chats/:id/invitations', own, async (request, reply) => {
    const { user_id } = bodyOf(request)
    return ask(request, reply, 'invite_to_group', { user_id })
  })

  app.get('/api/chats/:id/requests', own, async (request) => {
    const { page, limit, offset } = pageOf(request)
    const { id } = personOf(request).account
    const { requests, total } = await groupRequests.list(id, idOf(request), { offset, limit })
    const shown = await Promise.all(requests.map(showRequest))
    return toAnswer({ requests: shown, pagination: toPagination({ page, limit, total }) })
  })

  app.get('/api/invitations', own, async (request) => {
    const { page, limit, offset } = pageOf(request)
    const { id } = personOf(request).account
    const { requests, total } = await groupRequests.listInvitations(id, { offset, limit })
    const shown = await Promise.all(requests.map((invitation) => showInvitation(invitation, id)))
    return toAnswer({ invitations: shown, pagination: toPagination({ page, limit, total }) })
  })

  for (const word of ['accept', 'reject'] as const) {
    const is_accepted = word === 'accept'

    app.post(`/api/chats/:id/requests/:seq/${word}`, own, async (request) => {
      const { reason } = bodyOf(request)
      const place = { chat_id: idOf(request), request_id: idOf(request, 'seq') }
      await perform(request, dispatcher, 'answer_chat_request', { ...place, is_accepted, reason })
      return toAnswer({})
    })

    app.post(`/api/invitations/:seq/${word}`, own, async (request) => {
      await perform(request, dispatcher, 'answer_chat_invitation', { request_id: idOf(request, 'seq'), is_accepted })
      return toAnswer({})
    })
  }

  async function ask(request: FastifyRequest, reply: FastifyReply, action: string, params: object) {
    const group_id = idOf(request)
    const asked = { ...params, group_id }
    const { notification_seq } = await perform<{ notification_seq: number }>(request, dispatcher, action, asked)
    return reply.code(201).send(toAnswer({ id: notification_seq, request_id: notification_seq, chat_id: group_id }))
  }

  async function showRequest(request: GroupRequest) {
    const isOwn = request.initiatorId === request.targetId
    const [user, inviter] = await Promise.all([get(request.targetId), isOwn ? undefined : get(request.initiatorId)])
    return toRequest(request, user, inviter)
  }

  async function showInvitation(invitation: GroupRequest, viewerId: number) {
    const [chat, inviter] = await Promise.all([store.findChat(invitation.groupId), get(invitation.initiatorId)])
    if (!chat) throw new Error(`chat ${invitation.groupId} vanished`)
    return toInvitation(invitation, chat, inviter, viewerId)
  }

  /** Accounts are switched off, never removed. */
  async function get(id: number): Promise<Account> {
    return (await store.findAccount(id)) as Account
  }
}
