import { Type } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { Bool, Name, Nothing, OptionalName, Text, Uin } from '../schema/common.ts'
import { findOwnPicture } from './media.ts'

// What people show of themselves, and whom they know (IM-Suite 1.5). Milky has no words for it.

const MAX_URL = 2048

/** IM-Suite 1.5 `PUT /api/users/me`. What is absent stays; an empty `avatar_url` takes the picture away. */
export const setOwnProfile = defineAction({
  name: 'set_own_profile',
  params: Type.Object({
    nickname: Type.Optional(Name(64)),
    bio: Type.Optional(Type.String({ maxLength: 500, description: 'expected at most 500 characters' })),
    avatar_url: Type.Optional(
      Type.String({ maxLength: MAX_URL, description: `expected an address of at most ${MAX_URL} characters` })
    )
  }),
  result: Nothing,
  async run(context, { nickname, bio, avatar_url }) {
    const { caller, directory, files, allowances } = context
    const name = nickname?.trim()
    if (name === '') throw new ActionError('invalid', 'nickname: expected a name', { field: 'nickname' })
    allowances.take('send', caller.id)
    const avatarUrl = avatar_url === undefined ? undefined : await toAvatar(context, avatar_url.trim())
    await directory.update(caller.id, { nickname: name, bio: bio?.trim(), avatarUrl })
    if (avatarUrl !== undefined) await files.tidy()
    return {}
  }
})

/** A picture of the caller's own that lies here gets an address that lasts; one elsewhere must be safe to load. */
async function toAvatar(context: ActionContext, url: string): Promise<string> {
  const { caller, links } = context
  if (url === '' || url === caller.avatarUrl) return url
  const field = 'avatar_url'
  const fileId = links.findFileId(url)
  if (fileId !== undefined) {
    const { name } = await findOwnPicture(context, fileId, field)
    return links.lastingLinkOf({ fileId, name })
  }
  const elsewhere = URL.parse(url)
  if (elsewhere?.protocol !== 'https:')
    throw new ActionError('invalid', `${field}: expected an https address or one of your uploads`, { field })
  return elsewhere.href
}

/** IM-Suite 1.5 `POST /api/contacts`: whom it is about is told in one of three ways. A bot is told the comment. */
export const addContact = defineAction({
  name: 'add_contact',
  params: Type.Object({
    user_id: Type.Optional(Uin),
    phone: Type.Optional(Text),
    username: Type.Optional(Text),
    remark: Type.Optional(OptionalName(64)),
    comment: Type.Optional(Type.String({ maxLength: 500, description: 'expected at most 500 characters' }))
  }),
  result: Type.Object({ user_id: Uin, is_new: Bool }),
  async run({ caller, contacts, directory, allowances }, { user_id, phone, username, remark, comment }) {
    allowances.take('send', caller.id)
    if (user_id === undefined && phone === undefined && username === undefined)
      throw new ActionError('invalid', 'user_id: expected a user_id, a phone number or a username', {
        field: 'user_id'
      })
    if (user_id === undefined) allowances.take('search', caller.id)
    const id = user_id ?? (await directory.find({ phone, username })).id
    const { isNew } = await contacts.add(caller, id, { remark, comment: comment?.trim() })
    return { user_id: id, is_new: isNew }
  }
})

export const updateContact = defineAction({
  name: 'update_contact',
  params: Type.Object({ user_id: Uin, remark: Type.Optional(OptionalName(64)), is_muted: Type.Optional(Bool) }),
  result: Nothing,
  async run({ caller, contacts, allowances }, { user_id, remark, is_muted }) {
    allowances.take('send', caller.id)
    await contacts.update(caller.id, user_id, { remark, isMuted: is_muted })
    return {}
  }
})

export const removeContact = defineAction({
  name: 'remove_contact',
  params: Type.Object({ user_id: Uin }),
  result: Nothing,
  async run({ caller, contacts, allowances }, { user_id }) {
    allowances.take('send', caller.id)
    await contacts.remove(caller, user_id)
    return {}
  }
})

export const blockAccount = defineAction({
  name: 'block_account',
  params: Type.Object({ user_id: Uin }),
  result: Nothing,
  async run({ caller, contacts, allowances }, { user_id }) {
    allowances.take('send', caller.id)
    await contacts.block(caller.id, user_id)
    return {}
  }
})

export const unblockAccount = defineAction({
  name: 'unblock_account',
  params: Type.Object({ user_id: Uin }),
  result: Nothing,
  async run({ caller, contacts, allowances }, { user_id }) {
    allowances.take('send', caller.id)
    await contacts.unblock(caller.id, user_id)
    return {}
  }
})
