import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bodyOf, idOf, perform, personOf, wholeNumber, wordsOf } from '../plugins/people.ts'
import type { Account } from '../src/core/store.ts'
import type { Gateway } from '../src/gateway.ts'
import { toOtherUser } from '../src/protocols/imsuite-people.ts'
import { toAnswer, toOwnUser } from '../src/protocols/imsuite-rest.ts'

/** Who is who (IM-Suite contract 1.5). Phone numbers are shown to their owners only (1.8). */
export async function imSuiteUsers(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { directory, gestures, dispatcher, allowances, now } = gateway
  const { own } = app.people

  app.get('/api/users/me', own, async (request) => toAnswer(toOwnUser(personOf(request).account, now())))

  app.put('/api/users/me', own, async (request) => {
    const { nickname, bio, avatar_url, avatar } = bodyOf(request)
    await perform(request, dispatcher, 'set_own_profile', { nickname, bio, avatar_url: avatar_url ?? avatar })
    return toAnswer(toOwnUser(await directory.get(personOf(request).account.id), now()))
  })

  app.get('/api/users/me/likes', own, async (request) => {
    const { total, today } = await gestures.listLikes(personOf(request).account.id)
    return toAnswer({ total, today: today.map(({ accountId, count }) => ({ user_id: accountId, count })) })
  })

  app.post('/api/users/:id/likes', own, async (request) => {
    const { count } = bodyOf(request)
    await perform(request, dispatcher, 'send_profile_like', { user_id: idOf(request), count })
    return toAnswer({})
  })

  /** `data` is the list itself, as clients of the upstream server expect. */
  app.get('/api/users/search', own, async (request) => {
    const query = {
      phone: phoneOf(request),
      username: wordsOf(request, 'username'),
      keyword: wordsOf(request, 'keyword')
    }
    const limit = wholeNumber(request, 'limit', { fallback: 20, min: 1, max: 50 })
    allowances.take('search', personOf(request).account.id)
    const users = await show(request, await directory.search(query, limit))
    return { success: true, users, count: users.length, data: users }
  })

  app.get('/api/users/by-phone/:phone', own, async (request) => {
    const { phone } = request.params as { phone: string }
    allowances.take('search', personOf(request).account.id)
    const [user] = await show(request, [await directory.find({ phone })])
    return toAnswer(user as object)
  })

  app.get('/api/users/:id', own, async (request) => {
    const account = await directory.get(idOf(request))
    const { id } = personOf(request).account
    if (account.id === id) return toAnswer(toOwnUser(account, now()))
    const [user] = await show(request, [account])
    return toAnswer(user as object)
  })

  async function show(request: FastifyRequest, accounts: readonly Account[]) {
    return (await directory.surround(personOf(request).account.id, accounts)).map(toOtherUser)
  }
}

/** A plus sign that was not escaped arrives as a space. */
function phoneOf(request: FastifyRequest): string | undefined {
  const { phone } = request.query as Record<string, unknown>
  const words = wordsOf(request, 'phone', 32)
  return words !== undefined && typeof phone === 'string' && phone.startsWith(' ') ? `+${words}` : words
}
