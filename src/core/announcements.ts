import { ActionError } from './errors.ts'
import type { Files } from './files.ts'
import { mustBeAdmin, type Groups } from './groups.ts'
import type { Announcement } from './note-store.ts'
import type { Member, Store } from './store.ts'

/** What a group tells its members. Every method throws `ActionError` to refuse. */
export interface Announcements {
  /** The newest first; for members. */
  readonly list: (accountId: number, groupId: number) => Promise<Announcement[]>
  /** Throws what `send` would throw, before anything is fetched for it. */
  readonly check: (actorId: number, groupId: number, content: string) => Promise<void>
  /** By the owner and the admins: 1 to 2000 characters, with a picture or without; the oldest beyond 50 goes. */
  readonly send: (
    actorId: number,
    groupId: number,
    announcement: { readonly content: string; readonly fileId?: number | undefined }
  ) => Promise<Announcement>
  /** By the owner and the admins, whoever has sent it. */
  readonly remove: (actorId: number, groupId: number, announcementId: number) => Promise<void>
}

export interface AnnouncementsOptions {
  readonly store: Store
  readonly groups: Pick<Groups, 'get'>
  readonly files: Pick<Files, 'tidy'>
  /** Unix seconds. */
  readonly now: () => number
}

/** Code points. */
const MAX_CONTENT = 2000
/** Of one group. */
const MAX_KEPT = 50

export function createAnnouncements({ store, groups, files, now }: AnnouncementsOptions): Announcements {
  return {
    async list(accountId, groupId) {
      await groups.get(accountId, groupId)
      return store.listAnnouncements(groupId)
    },

    async check(actorId, groupId, content) {
      toContent(content)
      await groups.get(actorId, groupId)
      const actor = await store.findMember(groupId, actorId)
      if (actor) mayAnnounce(actor)
    },

    async send(actorId, groupId, { content, fileId }) {
      const order = { groupId, actorId, content: toContent(content), fileId, time: now(), keep: MAX_KEPT }
      const announcement = await store.addAnnouncement({ ...order, check: mayAnnounce })
      await files.tidy()
      return announcement
    },

    async remove(actorId, groupId, announcementId) {
      await store.removeAnnouncement({
        groupId,
        actorId,
        announcementId,
        check: (actor) => mustBeAdmin(actor, 'delete announcements')
      })
      await files.tidy()
    }
  }
}

function mayAnnounce(actor: Member): void {
  mustBeAdmin(actor, 'send announcements')
}

/** What people read: lines, without what no page shows. */
function toContent(given: string): string {
  const field = 'content'
  const content = given
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n\t]/gu, '')
    .trim()
  if (content === '') throw new ActionError('invalid', `${field}: expected some text`, { field })
  if (content.length > MAX_CONTENT && [...content].length > MAX_CONTENT)
    throw new ActionError('too_large', `${field}: an announcement has at most ${MAX_CONTENT} characters`, { field })
  return content
}
