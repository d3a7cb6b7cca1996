import type { FastifyInstance } from 'fastify'
import { perform, personOf, wholeNumber } from '../plugins/people.ts'
import type { Config } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { toCallSession, toIceServers } from '../src/protocols/imsuite-calls.ts'
import { toAnswer, toPagination } from '../src/protocols/imsuite-rest.ts'

export interface ImSuiteCallsOptions {
  readonly gateway: Gateway
  readonly config: Config
}

/** What is around calls (IM-Suite contract 1.5, 2.5). Calls themselves are made over the WebSocket. */
export async function imSuiteCalls(app: FastifyInstance, { gateway, config }: ImSuiteCallsOptions): Promise<void> {
  const { store, dispatcher, now } = gateway
  const { own } = app.people

  app.get('/api/calls/ice-servers', own, async (request) =>
    toAnswer(toIceServers(config.im.ice_servers, personOf(request).account.id, now()))
  )

  app.get('/api/calls', own, async (request) => {
    const page = wholeNumber(request, 'page', { fallback: 1, min: 1, max: 1_000_000 })
    const limit = wholeNumber(request, 'limit', { fallback: 20, min: 1, max: 100 })
    const window = { offset: (page - 1) * limit, limit }
    const { calls, total } = await store.listCalls(personOf(request).account.id, window)
    return toAnswer({ calls: calls.map(toCallSession), pagination: toPagination({ page, limit, total }) })
  })

  /** For a person whose devices are gone, or who ends here what rings there. */
  app.post<{ Params: { id: string } }>('/api/calls/:id/end', own, async (request) => {
    const { reason } = (request.body ?? {}) as { reason?: unknown }
    await perform(request, dispatcher, 'end_call', { call_id: request.params.id, reason })
    return toAnswer({})
  })
}
