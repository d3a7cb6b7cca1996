import type { FastifyInstance } from 'fastify'
import { personOf } from '../plugins/people.ts'
import type { Gateway } from '../src/gateway.ts'
import { toAnswer, toOwnUser } from '../src/protocols/imsuite-rest.ts'

/** Who is who (IM-Suite contract 1.5). */
export async function imSuiteUsers(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { own } = app.people

  app.get('/api/users/me', own, async (request) => toAnswer(toOwnUser(personOf(request).account, gateway.now())))
}
