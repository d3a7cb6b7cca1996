import type { ShownMessage } from '../core/history.ts'
import type { LinkOf } from '../core/links.ts'
import type { Announcement, EssenceEntry, ReactionSummary } from '../core/note-store.ts'
import { toShownMessage } from './imsuite-messages.ts'
import { toTimestamp, toUser } from './imsuite.ts'

// Announcements, essence messages and reactions in the REST answers of people.

export function toAnnouncement({ id, groupId, sender, content, file, createdAt }: Announcement, linkOf: LinkOf) {
  return {
    id,
    chat_id: groupId,
    user_id: sender.id,
    sender: toUser(sender),
    content,
    image_url: file ? linkOf(file) : '',
    created_at: toTimestamp(createdAt)
  }
}

/** The message with who marked it, and when. */
export function toEssence({ operatorId, operatorName, time }: EssenceEntry, shown: ShownMessage, linkOf: LinkOf) {
  return {
    message: toShownMessage(shown, linkOf),
    operator_id: operatorId,
    operator_name: operatorName,
    marked_at: toTimestamp(time)
  }
}

export function toReaction({ type, reaction, count, isOwn, accountIds }: ReactionSummary) {
  return {
    reaction,
    reaction_type: type,
    ...(type === 'emoji' && { emoji: String.fromCodePoint(Number(reaction)) }),
    count,
    is_own: isOwn,
    user_ids: accountIds
  }
}
