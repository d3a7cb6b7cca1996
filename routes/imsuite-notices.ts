import type { FastifyInstance } from 'fastify'
import { perform, personOf, wholeNumber } from '../plugins/people.ts'
import type { Gateway } from '../src/gateway.ts'
import type { Operators } from '../src/operators.ts'
import { toAnswer, toNotification, type NoticeAnswer } from '../src/protocols/imsuite-rest.ts'

/** What the operator's people tell people: the inbox, and sending (IM-Suite contract 2.4, `notification`). */
export async function imSuiteNotices(
  app: FastifyInstance,
  { gateway: { dispatcher }, operators }: { gateway: Gateway; operators: Operators }
): Promise<void> {
  const { own, admin } = app.people

  /** Newest first; with `after` the oldest first from there on, as with messages. */
  app.get('/api/notifications', own, async (request) => {
    const after = wholeNumber(request, 'after', { fallback: -1, min: 0, max: Number.MAX_SAFE_INTEGER })
    const limit = wholeNumber(request, 'limit', { fallback: 20, min: 1, max: 100 })
    const params = { limit, ...(after >= 0 && { after }) }
    const { notices } = await perform<{ notices: NoticeAnswer[] }>(request, dispatcher, 'list_notices', params)
    return toAnswer({ notifications: notices.map(toNotification) })
  })

  app.post('/api/admin/notifications', admin, async (request, reply) => {
    const sent = await perform<{ notice: NoticeAnswer; recipients: number | null }>(
      request,
      dispatcher,
      'send_notice',
      request.body ?? {}
    )
    const { notice, recipients } = sent
    await operators.note({
      operator: `user ${personOf(request).account.id}`,
      action: 'notify',
      subject: notice.title,
      details: { recipients: recipients ?? 'everybody' },
      ip: request.ip
    })
    return reply.code(201).send(toAnswer({ notification: toNotification(notice), recipients }))
  })
}
