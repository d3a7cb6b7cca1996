import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { findRecipients, type Notice } from '../core/notices.ts'
import { Int, Text, Uin } from '../schema/common.ts'

// What the operator's people tell people (IM-Suite 2.4 `notification`). Milky has no word for it.

const Kind = Type.Union(
  [Type.Literal('info'), Type.Literal('warning'), Type.Literal('error'), Type.Literal('success')],
  {
    description: 'expected "info", "warning", "error" or "success"'
  }
)

const NoticeEntity = Type.Object({
  id: Int,
  title: Text,
  message: Text,
  type: Kind,
  action_url: Text,
  created_at: Int
})

/** By admins. `to` names people by id or username; everybody when it is missing. */
export const sendNotice = defineAction({
  name: 'send_notice',
  params: Type.Object({
    title: Text,
    message: Text,
    type: Type.Optional(Kind),
    action_url: Type.Optional(Text),
    to: Type.Optional(
      Type.Array(Type.Union([Uin, Type.String({ minLength: 1 })]), {
        description: 'expected a list of ids or usernames'
      })
    )
  }),
  result: Type.Object({ notice: NoticeEntity, recipients: Type.Union([Int, Type.Null()]) }),
  async run({ caller, notices, store }, { title, message, type = 'info', action_url = '', to }) {
    if (!caller.isAdmin) throw new ActionError('forbidden', 'only admins send notices', { cause: 'role' })
    const audience = to ? await findRecipients(store, to) : null
    const notice = await notices.send({ audience, title, message, kind: type, actionUrl: action_url })
    return { notice: toEntity(notice), recipients: audience?.length ?? null }
  }
})

const MAX_PAGE = 100

/** What the caller was told in the last 30 days: the newest first, or the oldest first from `after` on. */
export const listNotices = defineAction({
  name: 'list_notices',
  params: Type.Object({
    after: Type.Optional(Int),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_PAGE, description: `expected an integer from 1 to ${MAX_PAGE}` })
    )
  }),
  result: Type.Object({ notices: Type.Array(NoticeEntity) }),
  async run({ caller, notices }, { after, limit = 20 }) {
    const found = await notices.list({ accountId: caller.id, afterId: after, limit })
    return { notices: found.map(toEntity) }
  }
})

function toEntity({ id, title, message, kind, actionUrl, createdAt }: Notice) {
  return { id, title, message, type: kind, action_url: actionUrl, created_at: createdAt }
}
