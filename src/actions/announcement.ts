import { Type } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { checkKind } from '../core/files.ts'
import { Int, Nothing, Text, Uin } from '../schema/common.ts'
import { GroupAnnouncementEntity, toAnnouncementEntity } from '../schema/note.ts'
import { withUploads } from './media.ts'

/** People change groups as often as they may say something; bots as often as their door lets them. */
function take({ caller, allowances }: Pick<ActionContext, 'caller' | 'allowances'>): void {
  if (caller.kind === 'person') allowances.take('send', caller.id)
}

export const getGroupAnnouncements = defineAction({
  name: 'get_group_announcements',
  params: Type.Object({ group_id: Uin }),
  result: Type.Object({ announcements: Type.Array(GroupAnnouncementEntity) }),
  async run({ caller, announcements, links }, { group_id }) {
    const found = await announcements.list(caller.id, group_id)
    return { announcements: found.map((announcement) => toAnnouncementEntity(announcement, links.absoluteLinkOf)) }
  }
})

export const sendGroupAnnouncement = defineAction({
  name: 'send_group_announcement',
  params: Type.Object({ group_id: Uin, content: Text, image_uri: Type.Optional(Text) }),
  result: Nothing,
  async run(context, { group_id, content, image_uri: uri }) {
    const { caller, announcements } = context
    take(context)
    // Who may not announce makes nobody fetch a picture.
    await announcements.check(caller.id, group_id, content)
    await withUploads(context, async (keep) => {
      const file = uri === undefined ? undefined : await keep({ uri, kind: 'image', field: 'image_uri' })
      await announcements.send(caller.id, group_id, { content, fileId: file?.id })
    })
    return {}
  }
})

export const deleteGroupAnnouncement = defineAction({
  name: 'delete_group_announcement',
  params: Type.Object({ group_id: Uin, announcement_id: Text }),
  result: Nothing,
  async run(context, { group_id, announcement_id }) {
    const { caller, announcements } = context
    take(context)
    await announcements.remove(caller.id, group_id, toId(announcement_id))
    return {}
  }
})

/** People name a file that they have uploaded, or that somebody has shown them, where bots give an address. */
export const announceInChat = defineAction({
  name: 'announce_in_chat',
  params: Type.Object({ chat_id: Uin, content: Text, file_id: Type.Optional(Int) }),
  result: Type.Object({ announcement_id: Int }),
  async run({ caller, announcements, files, allowances }, { chat_id, content, file_id: fileId }) {
    allowances.take('send', caller.id)
    if (fileId !== undefined) checkKind('image', (await files.get(caller.id, fileId)).mime, 'file_id')
    const { id } = await announcements.send(caller.id, chat_id, { content, fileId })
    return { announcement_id: id }
  }
})

/** What `toAnnouncementEntity` cannot have made is no announcement. */
function toId(given: string): number {
  if (/^[1-9]\d{0,14}$/.test(given)) return Number(given)
  throw new ActionError('not_found', `there is no announcement "${given.slice(0, 64)}"`, { field: 'announcement_id' })
}
