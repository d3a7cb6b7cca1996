import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bodyOf, idOf, pageOf, perform, personOf, wordsOf } from '../plugins/people.ts'
import type { AccountRef } from '../src/core/event.ts'
import type { Gateway } from '../src/gateway.ts'
import { toBlocked, toContact, toOtherUser } from '../src/protocols/imsuite-people.ts'
import { toAnswer, toPagination } from '../src/protocols/imsuite-rest.ts'

/** Whom people know, and whom they do not want to hear of (IM-Suite contract 1.5). */
export async function imSuiteContacts(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { contacts, directory, dispatcher, store } = gateway
  const { own } = app.people

  async function list(request: FastifyRequest) {
    const { id } = personOf(request).account
    const { page, limit, offset } = pageOf(request)
    const { contacts: found, total } = await contacts.list(id, { offset, limit, words: wordsOf(request, 'search') })
    return toAnswer({
      contacts: found.map((contact) => toContact(contact, id)),
      users: await show(id, found),
      pagination: toPagination({ page, limit, total })
    })
  }

  app.get('/api/contacts', own, list)
  app.get('/api/users/friends', own, list)

  app.post('/api/contacts', own, async (request, reply) => {
    const { user_id, contact_id, phone, username, remark, nickname, comment } = bodyOf(request)
    const added = await perform<{ user_id: number; is_new: boolean }>(request, dispatcher, 'add_contact', {
      user_id: user_id ?? contact_id,
      phone,
      username,
      // The document's clients call it so, too.
      remark: remark ?? nickname,
      comment
    })
    return reply.code(added.is_new ? 201 : 200).send(toAnswer(await get(request, added.user_id)))
  })

  app.get('/api/contacts/blocked', own, async (request) => {
    const { id } = personOf(request).account
    const { page, limit, offset } = pageOf(request)
    const { blocked, total } = await contacts.listBlocked(id, { offset, limit })
    return toAnswer({
      blocked: blocked.map(toBlocked),
      users: await show(id, blocked),
      pagination: toPagination({ page, limit, total })
    })
  })

  app.get('/api/contacts/:id', own, async (request) => toAnswer(await get(request, idOf(request))))

  app.put('/api/contacts/:id', own, async (request) => {
    const { remark, is_muted } = bodyOf(request)
    const id = idOf(request)
    await perform(request, dispatcher, 'update_contact', { user_id: id, remark, is_muted })
    return toAnswer(await get(request, id))
  })

  app.delete('/api/contacts/:id', own, async (request) => {
    await perform(request, dispatcher, 'remove_contact', { user_id: idOf(request) })
    return toAnswer({})
  })

  app.post('/api/contacts/:id/block', own, async (request) => {
    await perform(request, dispatcher, 'block_account', { user_id: idOf(request) })
    return toAnswer({ is_blocked: true })
  })

  app.delete('/api/contacts/:id/block', own, async (request) => {
    await perform(request, dispatcher, 'unblock_account', { user_id: idOf(request) })
    return toAnswer({ is_blocked: false })
  })

  async function get(request: FastifyRequest, contactId: number) {
    const { id } = personOf(request).account
    return toContact(await contacts.get(id, contactId), id)
  }

  async function show(viewerId: number, refs: readonly AccountRef[]) {
    const accounts = await Promise.all(refs.map(({ id }) => store.findAccount(id)))
    const found = accounts.flatMap((account) => account ?? [])
    return (await directory.surround(viewerId, found)).map(toOtherUser)
  }
}
