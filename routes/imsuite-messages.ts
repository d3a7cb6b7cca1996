import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bodyOf, idOf, perform, personOf, wholeNumber } from '../plugins/people.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Account, Message } from '../src/core/store.ts'
import type { Gateway } from '../src/gateway.ts'
import { peerOf, toDialog, toForward, toRevision, toShownMessage } from '../src/protocols/imsuite-messages.ts'
import { toOtherUser } from '../src/protocols/imsuite-people.ts'
import { toAnswer } from '../src/protocols/imsuite-rest.ts'
import { toChat } from '../src/protocols/imsuite.ts'

/** Further back a list is paged by message, not by number: `GET /api/chats/:id/messages?before=`. */
const MAX_OFFSET = 10_000

/** Messages by their own id, and the lists that the upstream server has beside the document's (IM-Suite contract 1.5). */
export async function imSuiteMessages(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { chats, directory, history, store, links, dispatcher } = gateway
  const { own } = app.people

  async function send(request: FastifyRequest) {
    const sent = await perform<{ message_id: number; duplicate: boolean }>(
      request,
      dispatcher,
      'send_chat_message',
      bodyOf(request)
    )
    return { ...(await answer(request, sent.message_id)), duplicate: sent.duplicate }
  }
  app.post('/api/messages', own, send)
  app.post('/api/messages/send', own, send)

  /** `data` is the list itself, as clients of the upstream server expect. */
  app.get('/api/messages', own, async (request) => {
    const { id } = personOf(request).account
    const limit = wholeNumber(request, 'limit', { fallback: 50, min: 1, max: 100 })
    const offset = offsetOf(request)
    const chatId = await chatOf(request)
    const { messages: found, total } =
      chatId === undefined ? nothing : await history.listNewest(id, chatId, { offset, limit })
    const messages = await show(id, found)
    return { success: true, data: messages, messages, total, limit, offset }
  })

  app.get('/api/messages/dialogs', own, async (request) => {
    const { id } = personOf(request).account
    const limit = wholeNumber(request, 'limit', { fallback: 20, min: 1, max: 100 })
    const { chats: found, total } = await chats.list(id, { offset: offsetOf(request), limit })
    const peers = found.flatMap(({ chat }) => peerOf(chat, id) ?? [])
    const accounts = await Promise.all(peers.map((peer) => store.findAccount(peer.id)))
    const known = await Promise.all(peers.map((peer) => store.findContact(id, peer.id)))
    const muted = new Set(known.flatMap((contact) => (contact?.isMuted ? contact.id : [])))
    const users = await directory.surround(id, accounts as Account[])
    const last = found.flatMap(({ lastMessage }) => lastMessage ?? [])
    const groups = found.flatMap(({ chat }) => (chat.kind === 'group' ? toChat(chat, id) : []))
    return toAnswer({
      dialogs: found.map((summary) => toDialog(summary, id, muted.has(peerOf(summary.chat, id)?.id ?? 0))),
      messages: await show(id, last),
      users: users.map(toOtherUser),
      groups,
      total
    })
  })

  app.get('/api/messages/unread/count', own, async (request) => {
    const { chat_id } = request.query as Record<string, unknown>
    const chatId = chat_id === undefined ? undefined : numberOf(request, 'chat_id')
    return toAnswer({ count: await history.countUnread(personOf(request).account.id, chatId) })
  })

  app.post('/api/messages/typing', own, async (request) => {
    await perform(request, dispatcher, 'set_typing', bodyOf(request))
    return toAnswer({})
  })

  app.get('/api/messages/:id', own, (request) => answer(request, idOf(request)))

  app.put('/api/messages/:id', own, async (request) => {
    const { content, expected_rev } = bodyOf(request)
    const id = idOf(request)
    await perform(request, dispatcher, 'edit_chat_message', { message_id: id, content, expected_rev })
    return answer(request, id)
  })

  app.delete('/api/messages/:id', own, async (request) => {
    const { message_id, chat_id } = await perform<{ message_id: number; chat_id: number }>(
      request,
      dispatcher,
      'delete_chat_message',
      { message_id: idOf(request) }
    )
    return toAnswer({ message_id, chat_id, is_deleted: true })
  })

  app.post('/api/messages/:id/recall', own, async (request) => {
    const { reason } = bodyOf(request)
    const id = idOf(request)
    await perform(request, dispatcher, 'take_back_chat_message', { message_id: id, reason })
    return toAnswer({ message_id: id, is_recalled: true })
  })

  app.post('/api/messages/:id/read', own, async (request) => {
    await perform(request, dispatcher, 'read_chat_message', { message_id: idOf(request) })
    return toAnswer({})
  })

  app.get('/api/messages/:id/edits', own, async (request) => {
    const edits = (await history.listRevisions(personOf(request).account.id, idOf(request))).map(toRevision)
    return toAnswer({ edits, total: edits.length })
  })

  app.get('/api/messages/:id/forwards', own, async (request) => {
    const { id } = personOf(request).account
    const { segments } = await chats.getMessageById(id, idOf(request))
    const forwards = segments.filter((segment) => segment.type === 'forward')
    return toAnswer({
      forwards: await Promise.all(
        forwards.map(async (forward) => toForward(forward, await chats.getForward(id, forward.forwardId), links.linkOf))
      )
    })
  })

  const nothing = { messages: [], total: 0 }

  /** Undefined for a private chat that nobody has begun. */
  async function chatOf(request: FastifyRequest): Promise<number | undefined> {
    const { chat_id, receiver_id } = request.query as Record<string, unknown>
    if (chat_id !== undefined) return numberOf(request, 'chat_id')
    if (receiver_id === undefined)
      throw new ActionError('invalid', 'chat_id: expected chat_id or receiver_id', { field: 'chat_id' })
    const peer = await directory.get(numberOf(request, 'receiver_id'))
    return store.findPrivateChat(personOf(request).account.id, peer.id)
  }

  async function answer(request: FastifyRequest, messageId: number) {
    const { id } = personOf(request).account
    const [message] = await show(id, [await chats.getMessageById(id, messageId)])
    return toAnswer(message as object)
  }

  async function show(viewerId: number, messages: readonly Message[]) {
    return (await history.surround(viewerId, messages)).map((message) => toShownMessage(message, links.linkOf))
  }
}

const numberOf = (request: FastifyRequest, name: string): number =>
  wholeNumber(request, name, { fallback: 0, min: 1, max: Number.MAX_SAFE_INTEGER })

function offsetOf(request: FastifyRequest): number {
  const offset = wholeNumber(request, 'offset', { fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER })
  if (offset <= MAX_OFFSET) return offset
  throw new ActionError('invalid', `offset: expected at most ${MAX_OFFSET}; page by message instead`, {
    field: 'offset'
  })
}
