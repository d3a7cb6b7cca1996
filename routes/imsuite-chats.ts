import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bodyOf, idOf, pageOf, perform, personOf, wholeNumber, wordsOf } from '../plugins/people.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Message } from '../src/core/store.ts'
import type { Gateway } from '../src/gateway.ts'
import { toChatDetail, toListedChat, toShownMessage } from '../src/protocols/imsuite-messages.ts'
import { toAnswer, toPagination } from '../src/protocols/imsuite-rest.ts'

/** Chats, and what was said in them: how a client that was away catches up (IM-Suite contract 1.5, 2.10). */
export async function imSuiteChats(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { chats, history, store, links, dispatcher, allowances } = gateway
  const { own } = app.people

  app.get('/api/chats', own, async (request) => {
    const { id } = personOf(request).account
    const { page, limit, offset } = pageOf(request)
    const { chats: found, total } = await chats.list(id, { offset, limit })
    const last = await show(
      id,
      found.flatMap(({ lastMessage }) => lastMessage ?? [])
    )
    const byChat = new Map(last.map((message) => [message.chat_id, message]))
    return toAnswer({
      chats: found.map((summary) => toListedChat(summary, id, byChat.get(summary.chat.id))),
      pagination: toPagination({ page, limit, total })
    })
  })

  app.post('/api/chats', own, async (request, reply) => {
    const { name, title, description, type = 'group', members: ids, member_ids = ids ?? [] } = bodyOf(request)
    if (type === 'private') return reply.code(201).send(toAnswer(await openPrivate(request, member_ids)))
    if (type !== 'group' && type !== 'channel')
      throw new ActionError('invalid', 'type: expected "private", "group" or "channel"', { field: 'type' })
    const { chat_id } = await perform<{ chat_id: number }>(request, dispatcher, 'create_chat', {
      name: name ?? title,
      description,
      is_channel: type === 'channel',
      user_ids: member_ids
    })
    return reply.code(201).send(toAnswer(await get(request, chat_id)))
  })

  async function openPrivate(request: FastifyRequest, memberIds: unknown) {
    const others = Array.isArray(memberIds) ? memberIds.filter((id) => id !== personOf(request).account.id) : []
    if (others.length !== 1)
      throw new ActionError('invalid', 'members: expected one other account', { field: 'members' })
    const user = { user_id: others[0] as unknown }
    const { chat_id } = await perform<{ chat_id: number }>(request, dispatcher, 'open_private_chat', user)
    return get(request, chat_id)
  }

  app.get('/api/chats/:id', own, async (request) => toAnswer(await get(request, idOf(request))))

  app.put('/api/chats/:id', own, async (request) => {
    const { name, title, description, avatar_url, is_muted } = bodyOf(request)
    const id = idOf(request)
    const change = { chat_id: id, name: name ?? title, description, avatar_url, is_muted }
    await perform(request, dispatcher, 'update_chat', change)
    return toAnswer(await get(request, id))
  })

  app.post('/api/chats/:id/nudge', own, async (request) => {
    const { user_id } = bodyOf(request)
    await perform(request, dispatcher, 'nudge_in_chat', { chat_id: idOf(request), user_id })
    return toAnswer({})
  })

  const pinTo = (is_pinned: boolean) => async (request: FastifyRequest) => {
    await perform(request, dispatcher, 'set_chat_pin', { chat_id: idOf(request), is_pinned })
    return toAnswer({ is_pinned })
  }
  app.put('/api/chats/:id/pin', own, pinTo(true))
  app.delete('/api/chats/:id/pin', own, pinTo(false))

  app.post('/api/chats/:id/leave', own, async (request) => {
    await perform(request, dispatcher, 'quit_group', { group_id: idOf(request) })
    return toAnswer({})
  })

  /** Without a message: everything that was said. */
  app.post('/api/chats/:id/read', own, async (request) => {
    const { id } = personOf(request).account
    const chatId = idOf(request)
    const [last] = await chats.listMessages(id, { chatId, limit: 1 })
    const { message_id = last?.id } = bodyOf(request)
    if (typeof message_id === 'number' && (await store.findPosition(message_id))?.chatId !== chatId)
      throw new ActionError('not_found', `there is no message ${message_id} in this chat`, { field: 'message_id' })
    if (message_id !== undefined) await perform(request, dispatcher, 'read_chat_message', { message_id })
    return toAnswer({ unread_count: await history.countUnread(id, chatId) })
  })

  /** Newest first; with `after` the oldest first from there on, which is how a client that was away catches up. */
  app.get('/api/chats/:id/messages', own, async (request) => {
    const { id } = personOf(request).account
    const chatId = idOf(request)
    await chats.getOwn(id, chatId)
    const limit = wholeNumber(request, 'limit', { fallback: 50, min: 1, max: 100 })
    const afterSeq = await seqOf(request, chatId, 'after')
    const beforeSeq = await seqOf(request, chatId, 'before')
    const upToSeq = beforeSeq === undefined ? undefined : beforeSeq - 1
    const words = wordsOf(request, 'q')
    if (words !== undefined) return search(request, { chatId, words, upToSeq, afterSeq, limit })
    const found = await chats.listMessages(id, { chatId, upToSeq, afterSeq, limit: limit + 1 })
    const hasMore = found.length > limit
    const page = afterSeq === undefined ? found.toReversed().slice(0, limit) : found.slice(0, limit)
    return toAnswer({ messages: await show(id, page), pagination: { limit, has_more: hasMore } })
  })

  /** A search looks at so much at once; where it stopped is where the next one goes on. */
  async function search(request: FastifyRequest, query: Parameters<typeof history.search>[1]) {
    const { id } = personOf(request).account
    allowances.take('search', id)
    const { messages, stoppedAt } = await history.search(id, query)
    const next = query.afterSeq === undefined ? 'next_before' : 'next_after'
    return toAnswer({
      messages: await show(id, messages),
      pagination: {
        limit: query.limit,
        has_more: stoppedAt !== undefined,
        ...(stoppedAt && { [next]: stoppedAt.id })
      }
    })
  }

  app.post('/api/chats/:id/messages', own, async (request, reply) => {
    const { id } = personOf(request).account
    const { receiver_id: _, ...body } = bodyOf(request)
    const draft = { ...body, chat_id: idOf(request) }
    const sent = await perform<{ message_id: number; duplicate: boolean }>(
      request,
      dispatcher,
      'send_chat_message',
      draft
    )
    const [message] = await show(id, [await chats.getMessageById(id, sent.message_id)])
    return reply.code(201).send({ ...toAnswer(message as object), duplicate: sent.duplicate })
  })

  async function show(viewerId: number, messages: readonly Message[]) {
    return (await history.surround(viewerId, messages)).map((message) => toShownMessage(message, links.linkOf))
  }

  async function get(request: FastifyRequest, chatId: number) {
    const { id } = personOf(request).account
    const detail = await chats.getDetail(id, chatId)
    const [last] = detail.lastMessage ? await show(id, [detail.lastMessage]) : []
    return toChatDetail(detail, id, last)
  }

  /** Clients page by message id; 0 is before the first message. */
  async function seqOf(request: FastifyRequest, chatId: number, name: 'before' | 'after'): Promise<number | undefined> {
    if ((request.query as Record<string, unknown>)[name] === undefined) return undefined
    const messageId = wholeNumber(request, name, { fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER })
    if (messageId === 0) return name === 'after' ? 0 : undefined
    const message = await store.findPosition(messageId)
    if (!message || message.chatId !== chatId)
      throw new ActionError('not_found', `${name}: there is no message ${messageId} in this chat`, { field: name })
    return message.seq
  }
}
