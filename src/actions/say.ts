import { Type } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { checkKind } from '../core/files.ts'
import { toPlainText, type DraftSegment, type ForwardedDraft, type Segment } from '../core/segment.ts'
import type { Message } from '../core/store.ts'
import { Int, Uin } from '../schema/common.ts'
import { ClientId, SpokenSegment } from '../schema/spoken.ts'
import { withUploads, type Take } from './media.ts'
import { mustBeGroup } from './place.ts'

type SpokenForward = Extract<SpokenSegment, { type: 'forward' }>['data']
type Quote = Extract<SpokenSegment, { type: 'reply' }>['data']
type Spoken<T extends SpokenSegment['type']> = Extract<SpokenSegment, { type: T }>['data']

/**
 * What a brain says, in a group or to somebody. Under a `client_id` that was there before it says nothing, and tells what was
 * said then. Quotes and accounts that are not there are no mistake: the words are worth more.
 */
export const sayInChat = defineAction({
  name: 'say_in_chat',
  params: Type.Object({
    group_id: Type.Optional(Uin),
    user_id: Type.Optional(Uin),
    message: Type.Array(SpokenSegment),
    client_id: ClientId
  }),
  result: Type.Object({ message_id: Int, chat_id: Int, message_seq: Int, time: Int, duplicate: Type.Boolean() }),
  async run(context, { group_id, user_id, message, client_id: clientId }) {
    const { caller, chats, store } = context
    const chatId = await findChat(context, group_id, user_id)
    // Asked before anything is taken in: what was fetched the first time may be gone now.
    const known = clientId === undefined ? undefined : await store.findSent(chatId, caller.id, clientId)
    if (known) return toSaid(known, true)
    return withUploads(
      context,
      async (take) => {
        const segments = await toDrafts({ context, chatId, take }, message)
        const sent = await chats.send({ chatId, sender: caller, segments, clientId })
        return toSaid(sent.message, sent.isDuplicate)
      },
      ({ duplicate }) => !duplicate
    )
  }
})

function toSaid({ id, chatId, seq, time }: Message, duplicate: boolean) {
  return { message_id: id, chat_id: chatId, message_seq: seq, time, duplicate }
}

async function findChat(
  context: ActionContext,
  groupId: number | undefined,
  userId: number | undefined
): Promise<number> {
  if (groupId !== undefined) {
    await mustBeGroup(context, groupId)
    return groupId
  }
  if (userId !== undefined) return context.chats.openPrivate(context.caller, userId)
  throw new ActionError('invalid', 'group_id: expected a group_id or a user_id', { field: 'group_id' })
}

interface Saying {
  readonly context: ActionContext
  readonly chatId: number
  readonly take: Take
}

async function toDrafts(saying: Saying, message: readonly SpokenSegment[]): Promise<DraftSegment[]> {
  const segments: DraftSegment[] = []
  // One after the other: a message of many pictures does not open as many connections.
  for (const segment of message) {
    const draft = await toDraft(saying, segment)
    if (draft) segments.push(draft)
  }
  return segments
}

async function toDraft(saying: Saying, segment: SpokenSegment): Promise<DraftSegment | undefined> {
  switch (segment.type) {
    case 'text':
      return { type: 'text', text: segment.data.text }
    case 'mention':
      return toMention(saying, segment.data)
    case 'mention_all':
      return { type: 'mention_all' }
    case 'face':
      return { type: 'face', faceId: segment.data.face_id }
    case 'reply':
      return toReply(saying, segment.data)
    case 'media':
      return toMedia(saying, segment.data)
    case 'forward':
      return toForward(saying, segment.data)
  }
}

async function toMention({ context }: Saying, { user_id, name }: Spoken<'mention'>): Promise<DraftSegment> {
  if (await context.store.findAccount(user_id)) return { type: 'mention', accountId: user_id }
  return { type: 'text', text: `@${name || user_id}` }
}

async function toReply({ context, chatId }: Saying, { message_id }: Quote): Promise<DraftSegment | undefined> {
  const position = await context.store.findPosition(message_id)
  return position?.chatId === chatId ? { type: 'reply', messageId: message_id } : undefined
}

async function toMedia({ context, take }: Saying, { kind, source }: Spoken<'media'>): Promise<DraftSegment> {
  const field = 'message'
  if ('uri' in source) {
    const { id: fileId } = await take({ ...source, kind, field })
    return { type: 'media', kind, fileId }
  }
  const { mime } = await context.files.get(context.caller.id, source.file_id)
  checkKind(kind, mime, field)
  return { type: 'media', kind, fileId: source.file_id }
}

async function toForward(saying: Saying, { messages }: SpokenForward): Promise<DraftSegment | undefined> {
  const drafts: ForwardedDraft[] = []
  for (const message of messages) {
    const draft = await ('message_id' in message ? repeat(saying, message) : toForwarded(saying, message))
    if (draft && draft.segments.length > 0) drafts.push(draft)
  }
  return drafts.length === 0 ? undefined : { type: 'forward', messages: drafts }
}

async function toForwarded(
  saying: Saying,
  { user_id, sender_name, time, segments }: Exclude<SpokenForward['messages'][number], Quote>
): Promise<ForwardedDraft> {
  const accountId = user_id ?? saying.context.caller.id
  const said = segments.filter(({ type }) => type !== 'reply')
  const name = sender_name || (await nameOf(saying, accountId))
  return { accountId, name, time, segments: await toDrafts(saying, said) }
}

/** A message that is there, passed on; undefined when it is not, or not for the speaker. */
async function repeat(saying: Saying, { message_id }: Quote): Promise<ForwardedDraft | undefined> {
  const { caller, chats } = saying.context
  const message = await chats.getMessageById(caller.id, message_id).catch((err: unknown) => {
    if (err instanceof ActionError && err.reason === 'not_found') return undefined
    throw err
  })
  if (!message) return undefined
  const { senderId, time, segments } = message
  return { accountId: senderId, name: await nameOf(saying, senderId), time, segments: segments.flatMap(toDraftAgain) }
}

function toDraftAgain(segment: Segment): DraftSegment[] {
  // What it answered stands in another conversation.
  if (segment.type === 'reply') return []
  // Forwards that hold the one before twice, and so on, would double each time with everybody who is shown them.
  if (segment.type === 'forward') return [{ type: 'text', text: toPlainText([segment]) }]
  if (segment.type !== 'media') return [segment]
  const { kind, file, summary } = segment
  if (file.fileId === undefined) return [{ type: 'media', kind, file }]
  return [{ type: 'media', kind, fileId: file.fileId, ...(summary !== undefined && { summary }) }]
}

async function nameOf({ context }: Saying, accountId: number): Promise<string> {
  return (await context.store.findAccount(accountId))?.nickname ?? String(accountId)
}
