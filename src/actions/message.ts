import { Type, type Static } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import type { Appended, Group, Message } from '../core/store.ts'
import { Int, Nothing, Scene, Text, Uin } from '../schema/common.ts'
import { toFriendEntity, toGroupEntity, toGroupMemberEntity, type GroupMemberEntity } from '../schema/entity.ts'
import { IncomingMessage, toMessageFields } from '../schema/message.ts'
import { IncomingSegment, OutgoingSegment, parseResourceId, toIncomingSegment } from '../schema/segment.ts'
import { withMedia } from './media.ts'
import { mustBeGroup } from './place.ts'

const Sent = Type.Object({ message_seq: Int, time: Int })
const Outgoing = Type.Array(OutgoingSegment, { description: 'expected a list of segments' })
const place = { message_scene: Scene, peer_id: Uin }

export const sendPrivateMessage = defineAction({
  name: 'send_private_message',
  params: Type.Object({ user_id: Uin, message: Outgoing }),
  result: Sent,
  resultOf: toSent,
  async run(context, { user_id, message }) {
    const { caller, chats } = context
    return send(context, await chats.openPrivate(caller, user_id), message)
  }
})

export const sendGroupMessage = defineAction({
  name: 'send_group_message',
  params: Type.Object({ group_id: Uin, message: Outgoing }),
  result: Sent,
  resultOf: toSent,
  async run(context, { group_id, message }) {
    await mustBeGroup(context, group_id)
    return send(context, group_id, message)
  }
})

async function send(
  context: ActionContext,
  chatId: number,
  message: readonly OutgoingSegment[]
): Promise<Static<typeof Sent>> {
  const { caller, chats } = context
  return withMedia(context, message, async (segments) => toSent(await chats.send({ chatId, sender: caller, segments })))
}

function toSent({ message: { seq, time } }: Appended): Static<typeof Sent> {
  return { message_seq: seq, time }
}

export const recallPrivateMessage = defineAction({
  name: 'recall_private_message',
  params: Type.Object({ user_id: Uin, message_seq: Int }),
  result: Nothing,
  async run({ caller, chats }, { user_id, message_seq }) {
    await chats.recall(caller.id, await chats.getPrivate(caller.id, user_id), message_seq)
    return {}
  }
})

export const recallGroupMessage = defineAction({
  name: 'recall_group_message',
  params: Type.Object({ group_id: Uin, message_seq: Int }),
  result: Nothing,
  async run(context, { group_id, message_seq }) {
    await mustBeGroup(context, group_id)
    await context.chats.recall(context.caller.id, group_id, message_seq)
    return {}
  }
})

export const getMessage = defineAction({
  name: 'get_message',
  params: Type.Object({ ...place, message_seq: Int }),
  result: Type.Object({ message: IncomingMessage }),
  async run(context, { message_scene, peer_id, message_seq }) {
    const place = await findPlace(context, message_scene, peer_id)
    const message = await context.chats.getMessage(context.caller.id, place.chatId, message_seq)
    const [shown] = await toIncoming(context, place, peer_id, [message])
    return { message: shown as IncomingMessage }
  }
})

/** As many as a client may ask for at once (Milky 1.2, `get_history_messages`). */
const MAX_HISTORY = 30

export const getHistoryMessages = defineAction({
  name: 'get_history_messages',
  params: Type.Object({
    ...place,
    start_message_seq: Type.Optional(Int),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_HISTORY, description: `expected an integer from 1 to ${MAX_HISTORY}` })
    )
  }),
  result: Type.Object({ messages: Type.Array(IncomingMessage), next_message_seq: Type.Optional(Int) }),
  async run(context, { message_scene, peer_id, start_message_seq, limit = 20 }) {
    const place = await findPlace(context, message_scene, peer_id)
    const { chatId } = place
    // Clients send 0 for "the newest".
    const upToSeq = start_message_seq || undefined
    const page = await context.chats.listMessages(context.caller.id, { chatId, upToSeq, limit: limit + 1 })
    const older = page.length > limit ? page[0] : undefined
    const messages = await toIncoming(context, place, peer_id, older ? page.slice(1) : page)
    return { messages, ...(older && { next_message_seq: older.seq }) }
  }
})

/** Where what came with a message can be fetched now; the address does not last. */
export const getResourceTempUrl = defineAction({
  name: 'get_resource_temp_url',
  params: Type.Object({ resource_id: Text }),
  result: Type.Object({ url: Type.String() }),
  async run({ caller, files, links }, { resource_id }) {
    const resource = parseResourceId(resource_id)
    if (!resource)
      throw new ActionError('not_found', `there is no resource "${resource_id.slice(0, 64)}"`, { field: 'resource_id' })
    if ('url' in resource) return resource
    const { id: fileId, name } = await files.get(caller.id, resource.fileId)
    return { url: links.absoluteLinkOf({ fileId, name }) }
  }
})

const ForwardedMessages = Type.Array(
  Type.Object({
    message_seq: Int,
    sender_name: Type.String(),
    avatar_url: Type.String(),
    time: Int,
    segments: Type.Array(IncomingSegment)
  })
)

/** What was passed on together. */
export const getForwardedMessages = defineAction({
  name: 'get_forwarded_messages',
  params: Type.Object({ forward_id: Text }),
  result: Type.Object({ messages: ForwardedMessages }),
  async run(context, { forward_id }) {
    const messages = await listForwarded(context, forward_id)
    return { messages: messages.map(({ user_id: _, ...message }) => message) }
  }
})

/** The same with who said it, which the draft tells and Milky 1.2 does not. */
export const getForward = defineAction({
  name: 'get_forward',
  params: Type.Object({ forward_id: Text }),
  result: Type.Object({
    messages: Type.Array(Type.Composite([Type.Object({ user_id: Uin }), ForwardedMessages.items]))
  }),
  async run(context, { forward_id }) {
    return { messages: await listForwarded(context, forward_id) }
  }
})

async function listForwarded({ caller, chats, links }: ActionContext, forwardId: string) {
  if (!/^[1-9]\d{0,14}$/.test(forwardId))
    throw new ActionError('not_found', `there is no forward "${forwardId.slice(0, 64)}"`, { field: 'forward_id' })
  const messages = await chats.getForward(caller.id, Number(forwardId))
  const view = { urlOf: links.absoluteLinkOf, isPrivate: false }
  return messages.map(({ accountId, name, avatarUrl, time, seq, segments }) => ({
    user_id: accountId,
    message_seq: seq,
    sender_name: name,
    avatar_url: avatarUrl,
    time,
    segments: segments.map((segment) => toIncomingSegment(segment, view))
  }))
}

/** This message and all before it; people see it as a receipt. */
export const markMessageAsRead = defineAction({
  name: 'mark_message_as_read',
  params: Type.Object({ ...place, message_seq: Int }),
  result: Nothing,
  async run(context, { message_scene, peer_id, message_seq }) {
    const { caller, deviceId, receipts, allowances } = context
    if (caller.kind === 'person') allowances.take('read', caller.id)
    const { chatId } = await findPlace(context, message_scene, peer_id)
    await receipts.markUpTo(caller.id, chatId, message_seq, deviceId)
    return {}
  }
})

interface Place {
  readonly chatId: number
  /** When it is one. */
  readonly group?: Group
}

async function findPlace(
  { caller, chats, groups }: ActionContext,
  scene: 'friend' | 'group' | 'temp',
  peerId: number
): Promise<Place> {
  if (scene !== 'group') return { chatId: await chats.getPrivate(caller.id, peerId) }
  const group = await groups.get(caller.id, peerId)
  return { chatId: group.id, group }
}

/** Shows messages of one chat; what each needs of its surroundings is looked up once for all of them. */
async function toIncoming(
  context: ActionContext,
  { group }: Place,
  peerId: number,
  messages: readonly Message[]
): Promise<IncomingMessage[]> {
  if (group) return toGroupMessages(context, group, messages)
  const { caller, store, links } = context
  const peer = (await store.findFriend(caller.id, peerId)) ?? (await store.findAccount(peerId))
  const friend = toFriendEntity(peer ?? { id: peerId, nickname: '', avatarUrl: '' })
  const view = { urlOf: links.absoluteLinkOf, isPrivate: true, quoted: await store.readQuoted(messages) }
  return messages.map((message) => ({ message_scene: 'friend', ...toMessageFields(message, peerId, view), friend }))
}

async function toGroupMessages(
  context: ActionContext,
  known: Group,
  messages: readonly Message[]
): Promise<IncomingMessage[]> {
  const { store, links, maxMembers } = context
  const groupId = known.id
  const group = toGroupEntity(known, maxMembers)
  const view = { urlOf: links.absoluteLinkOf, isPrivate: false, quoted: await store.readQuoted(messages) }
  const senders = new Map<number, GroupMemberEntity>()
  const shown: IncomingMessage[] = []
  for (const message of messages) {
    // A page has few senders, who each have said much of it.
    const group_member = senders.get(message.senderId) ?? (await toSender(context, groupId, message.senderId))
    senders.set(message.senderId, group_member)
    shown.push({ message_scene: 'group', ...toMessageFields(message, groupId, view), group, group_member })
  }
  return shown
}

/** Who has left is still the sender of what they said. */
async function toSender({ store, now }: ActionContext, groupId: number, accountId: number): Promise<GroupMemberEntity> {
  const member = await store.findMember(groupId, accountId)
  const gone = {
    accountId,
    nickname: '',
    card: '',
    title: '',
    role: 'member',
    mutedUntil: 0,
    joinedAt: 0,
    lastSentAt: 0
  } as const
  return toGroupMemberEntity(
    groupId,
    member ?? { ...gone, nickname: (await store.findAccount(accountId))?.nickname ?? '' },
    now()
  )
}
