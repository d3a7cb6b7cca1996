import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bodyOf, idOf, pageOf, perform, personOf } from '../plugins/people.ts'
import { ActionError } from '../src/core/errors.ts'
import type { ShownMessage } from '../src/core/history.ts'
import type { Gateway } from '../src/gateway.ts'
import { toAnnouncement, toEssence, toReaction } from '../src/protocols/imsuite-notes.ts'
import { toAnswer, toPagination } from '../src/protocols/imsuite-rest.ts'

/** What is noted on groups and messages: announcements, essence messages and reactions, as bots have them too. */
export async function imSuiteNotes(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { announcements, essence, reactions, history, links, dispatcher } = gateway
  const { own } = app.people

  app.get('/api/chats/:id/announcements', own, async (request) => {
    const found = await announcements.list(personOf(request).account.id, idOf(request))
    return toAnswer({ announcements: found.map((announcement) => toAnnouncement(announcement, links.linkOf)) })
  })

  app.post('/api/chats/:id/announcements', own, async (request, reply) => {
    const { content, file_id } = bodyOf(request)
    const params = { chat_id: idOf(request), content, file_id }
    const sent = await perform<{ announcement_id: number }>(request, dispatcher, 'announce_in_chat', params)
    const id = sent.announcement_id
    const listed = await announcements.list(personOf(request).account.id, params.chat_id)
    const found = listed.find((announcement) => announcement.id === id)
    // Somebody may have deleted it at once.
    return reply.code(201).send(toAnswer(found ? toAnnouncement(found, links.linkOf) : { id }))
  })

  app.delete('/api/chats/:id/announcements/:announcement_id', own, async (request) => {
    await perform(request, dispatcher, 'delete_group_announcement', {
      group_id: idOf(request),
      announcement_id: String(idOf(request, 'announcement_id'))
    })
    return toAnswer({})
  })

  app.get('/api/chats/:id/essence', own, async (request) => {
    const { id } = personOf(request).account
    const { page, limit, offset } = pageOf(request)
    const { entries, total } = await essence.list(id, idOf(request), { offset, limit })
    const shown = await history.surround(
      id,
      entries.map(({ message }) => message)
    )
    return toAnswer({
      essence: entries.map((entry, index) => toEssence(entry, shown[index] as ShownMessage, links.linkOf)),
      pagination: toPagination({ page, limit, total })
    })
  })

  const mark = (isSet: boolean) => async (request: FastifyRequest) => {
    const id = idOf(request)
    const { chat_id } = await perform<{ chat_id: number }>(request, dispatcher, 'set_chat_essence', {
      message_id: id,
      is_set: isSet
    })
    return toAnswer({ message_id: id, chat_id, is_essence: isSet })
  }
  app.put('/api/messages/:id/essence', own, mark(true))
  app.delete('/api/messages/:id/essence', own, mark(false))

  app.get('/api/messages/:id/reactions', own, answerReactions)

  const react = (isAdd: boolean) => async (request: FastifyRequest) => {
    await perform(request, dispatcher, 'react_in_chat', {
      message_id: idOf(request),
      reaction: (request.params as { reaction: string }).reaction,
      reaction_type: typeOf(request),
      is_add: isAdd
    })
    return answerReactions(request)
  }
  app.put('/api/messages/:id/reactions/:reaction', own, react(true))
  app.delete('/api/messages/:id/reactions/:reaction', own, react(false))

  async function answerReactions(request: FastifyRequest) {
    const messageId = idOf(request)
    const found = await reactions.list(personOf(request).account.id, messageId)
    return toAnswer({ message_id: messageId, reactions: found.map(toReaction) })
  }
}

/** People mean an emoji unless they say that it is a face. */
function typeOf(request: FastifyRequest): string {
  const { type = 'emoji' } = request.query as Record<string, unknown>
  if (type === 'emoji' || type === 'face') return type
  throw new ActionError('invalid', 'type: expected "emoji" or "face"', { field: 'type' })
}
