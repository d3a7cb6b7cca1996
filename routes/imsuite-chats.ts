import type { FastifyInstance, FastifyRequest } from 'fastify'
import { personOf, wholeNumber } from '../plugins/people.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Gateway } from '../src/gateway.ts'
import { toMessage } from '../src/protocols/imsuite.ts'
import { toAnswer, toChatSummary, toPagination } from '../src/protocols/imsuite-rest.ts'

/** Chats, and what was said in them: how a client that was away catches up (IM-Suite contract 1.5, 2.10). */
export async function imSuiteChats(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { chats, store, links } = gateway
  const { own } = app.people

  app.get('/api/chats', own, async (request) => {
    const { id } = personOf(request).account
    const page = wholeNumber(request, 'page', { fallback: 1, min: 1, max: 1_000_000 })
    const limit = wholeNumber(request, 'limit', { fallback: 20, min: 1, max: 100 })
    const { chats: found, total } = await chats.list(id, { offset: (page - 1) * limit, limit })
    return toAnswer({
      chats: found.map((chat) => toChatSummary(chat, id, links.linkOf)),
      pagination: toPagination({ page, limit, total })
    })
  })

  /** Newest first; with `after` the oldest first from there on, which is how a client that was away catches up. */
  app.get<{ Params: { id: string } }>('/api/chats/:id/messages', own, async (request) => {
    const { id } = personOf(request).account
    const chatId = Number(request.params.id)
    if (!Number.isSafeInteger(chatId))
      throw new ActionError('invalid', 'id: expected the id of a chat', { field: 'id' })
    await chats.getOwn(id, chatId)
    const limit = wholeNumber(request, 'limit', { fallback: 50, min: 1, max: 100 })
    const afterSeq = await seqOf(request, chatId, 'after')
    const beforeSeq = await seqOf(request, chatId, 'before')
    const upToSeq = beforeSeq === undefined ? undefined : beforeSeq - 1
    const found = await chats.listMessages(id, { chatId, upToSeq, afterSeq, limit: limit + 1 })
    const hasMore = found.length > limit
    const page = afterSeq === undefined ? found.toReversed().slice(0, limit) : found.slice(0, limit)
    return toAnswer({
      messages: page.map((message) => toMessage(message, links.linkOf)),
      pagination: { limit, has_more: hasMore }
    })
  })

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
