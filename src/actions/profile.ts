import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { Int, Name, Nothing, Text, Uin } from '../schema/common.ts'
import { Sex } from '../schema/entity.ts'
import { withUploads } from './media.ts'

// What accounts show of themselves, and what the gateway shows of itself (Milky 1.2 "system").

export const getImplInfo = defineAction({
  name: 'get_impl_info',
  params: Nothing,
  result: Type.Object({
    impl_name: Text,
    impl_version: Text,
    qq_protocol_version: Text,
    qq_protocol_type: Type.Literal('linux'),
    milky_version: Text
  }),
  async run({ version }) {
    return {
      impl_name: 'Lactea',
      impl_version: version,
      // There is no QQ behind it; of the types that Milky knows this is where the gateway runs.
      qq_protocol_version: '',
      qq_protocol_type: 'linux' as const,
      milky_version: '1.2'
    }
  }
})

/** Of any account that there is. */
export const getUserProfile = defineAction({
  name: 'get_user_profile',
  params: Type.Object({ user_id: Uin }),
  result: Type.Object({
    nickname: Text,
    qid: Text,
    age: Int,
    sex: Sex,
    remark: Text,
    bio: Text,
    level: Int,
    country: Text,
    city: Text,
    school: Text
  }),
  async run({ caller, directory, store }, { user_id }) {
    const { nickname, username, bio } = await directory.get(user_id)
    const remark = (await store.findFriend(caller.id, user_id))?.remark ?? ''
    const unknown = { age: 0, sex: 'unknown' as const, level: 0, country: '', city: '', school: '' }
    return { ...unknown, nickname, qid: username ?? '', remark, bio }
  }
})

/** The picture is kept as a file of the caller's, which goes with the next picture. */
export const setAvatar = defineAction({
  name: 'set_avatar',
  params: Type.Object({ uri: Text }),
  result: Nothing,
  async run(context, { uri }) {
    const { caller, directory, files, links } = context
    await withUploads(context, async (take) => {
      const { id: fileId, name } = await take({ uri, kind: 'image', field: 'uri' })
      await directory.update(caller.id, { avatarUrl: links.lastingLinkOf({ fileId, name }) })
    })
    await files.tidy()
    return {}
  }
})

export const setNickname = defineAction({
  name: 'set_nickname',
  params: Type.Object({ new_nickname: Name(64) }),
  result: Nothing,
  async run({ caller, directory }, { new_nickname }) {
    const field = 'new_nickname'
    const nickname = new_nickname.trim()
    if (nickname === '') throw new ActionError('invalid', `${field}: expected a name`, { field })
    await directory.update(caller.id, { nickname })
    return {}
  }
})

export const setBio = defineAction({
  name: 'set_bio',
  params: Type.Object({ new_bio: Type.String({ maxLength: 500, description: 'expected at most 500 characters' }) }),
  result: Nothing,
  async run({ caller, directory }, { new_bio }) {
    await directory.update(caller.id, { bio: new_bio.trim() })
    return {}
  }
})

/** Stickers that the caller has sent, to be sent again. */
export const getCustomFaceUrlList = defineAction({
  name: 'get_custom_face_url_list',
  params: Nothing,
  result: Type.Object({ urls: Type.Array(Type.String()) }),
  async run({ caller, store, links }) {
    return { urls: (await store.listCustomFaces(caller.id)).map(links.absoluteLinkOf) }
  }
})

// Both belong to the web pages of QQ. They are not -400: nothing is wrong with the question.

export const getCookies = defineAction({
  name: 'get_cookies',
  params: Type.Object({ domain: Text }),
  result: Type.Object({ cookies: Text }),
  run: () => Promise.reject(new ActionError('not_found', 'there are no cookies: no web session stands behind Lactea'))
})

export const getCsrfToken = defineAction({
  name: 'get_csrf_token',
  params: Nothing,
  result: Type.Object({ csrf_token: Text }),
  run: () => Promise.reject(new ActionError('not_found', 'there is no CSRF token: no web session stands behind Lactea'))
})
