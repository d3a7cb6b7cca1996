import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { wholeNumber } from '../plugins/people.ts'
import type { Attempt, Delivery, ReplayChoice, Target, TargetDesk } from '../src/core/delivery-store.ts'
import { ActionError } from '../src/core/errors.ts'
import { toTimestamp } from '../src/protocols/imsuite.ts'
import { Int, ShortText } from '../src/schema/common.ts'

export interface AdminWebhooksOptions {
  readonly store: TargetDesk
  /** Unix seconds. */
  readonly now: () => number
}

const Reason = Type.Object({ reason: Type.Optional(ShortText(200)) })
const Replay = Type.Object({
  events: Type.Optional(Type.Array(Int, { minItems: 1, maxItems: 10_000, description: 'expected ids of events' })),
  from: Type.Optional(Int),
  to: Type.Optional(Int),
  dead: Type.Optional(Type.Literal(true, { description: 'expected true' }))
})

const ALL = '/api/admin/webhooks'
const ONE = `${ALL}/:id`

/** Webhooks as an operator sees them: where they stand, what waits, what was tried, and what is to be sent again. */
export async function adminWebhooks({ desk }: FastifyInstance, { store, now }: AdminWebhooksOptions): Promise<void> {
  async function mustFind(id: string): Promise<Target> {
    const target = await store.findTarget(id)
    if (!target) throw new ActionError('not_found', `there is no webhook ${id}`, { field: 'id' })
    return target
  }

  async function readAll(): Promise<object> {
    return { webhooks: (await store.listTargets()).map(toWebhook) }
  }

  desk.look(ALL, readAll)

  desk.look(ONE, async (request) => {
    const target = await mustFind(idOf(request))
    const attempts = await store.listAttempts(target.id, { limit: 20 })
    return { webhook: toWebhook(target), attempts: attempts.map(toAttempt) }
  })

  desk.look(`${ONE}/deliveries`, async (request) => {
    const { id } = await mustFind(idOf(request))
    const { state = 'dead' } = request.query as { state?: string }
    if (state !== 'dead' && state !== 'waiting')
      throw new ActionError('invalid', 'state: expected dead or waiting', { field: 'state' })
    return { deliveries: (await store.listDeliveries(id, state, pageOf(request))).map(toDelivery) }
  })

  desk.look(`${ONE}/attempts`, async (request) => {
    const { id } = await mustFind(idOf(request))
    const eventId = wholeNumber(request, 'event', { fallback: 0, min: 1, max: MAX })
    const page = { ...pageOf(request), ...(eventId > 0 && { eventId }) }
    return { attempts: (await store.listAttempts(id, page)).map(toAttempt) }
  })

  const changes = [
    ['pause', 'paused'],
    ['resume', 'active']
  ] as const
  for (const [verb, state] of changes) {
    const action = `webhook.${verb}`
    const change = (id: string, reason: string): Promise<boolean> =>
      store.setTargetState(id, { state, reason, time: now() })

    desk.act({
      path: `${ONE}/${verb}`,
      action,
      params: Reason,
      async run({ request, params, operator }) {
        const { id } = await mustFind(idOf(request))
        const reason = reasonOf(params, state, operator.name)
        await change(id, reason)
        return { answer: { webhook: toWebhook(await mustFind(id)) }, details: { reason } }
      }
    })

    desk.act({
      path: `${ALL}/${verb}`,
      action,
      params: Reason,
      async run({ params, operator }) {
        const reason = reasonOf(params, state, operator.name)
        let changed = 0
        for (const { id } of await store.listTargets()) if (await change(id, reason)) changed++
        return { answer: { changed, ...(await readAll()) }, subject: 'all', details: { reason, changed } }
      }
    })
  }

  desk.act({
    path: `${ONE}/replay`,
    action: 'webhook.replay',
    params: Replay,
    async run({ request, params }) {
      const { id } = await mustFind(idOf(request))
      const choice = choiceOf(params)
      const due = await store.replay(id, choice, now())
      return { answer: { due }, details: { ...describe(choice), due } }
    }
  })

  desk.act({
    path: `${ALL}/replay`,
    action: 'webhook.replay',
    params: Replay,
    async run({ params }) {
      const choice = choiceOf(params)
      let due = 0
      for (const { id } of await store.listTargets()) due += await store.replay(id, choice, now())
      return { answer: { due }, subject: 'all', details: { ...describe(choice), due } }
    }
  })
}

const MAX = Number.MAX_SAFE_INTEGER

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id
}

function pageOf(request: FastifyRequest): { limit: number; beforeId?: number } {
  const before = wholeNumber(request, 'before', { fallback: 0, min: 1, max: MAX })
  return {
    limit: wholeNumber(request, 'limit', { fallback: 50, min: 1, max: 500 }),
    ...(before > 0 && { beforeId: before })
  }
}

/** A webhook that goes on has no reason why it does not. */
function reasonOf({ reason }: Readonly<Record<string, unknown>>, state: 'paused' | 'active', who: string): string {
  if (state === 'active') return ''
  return typeof reason === 'string' && reason !== '' ? reason : `paused by ${who}`
}

function choiceOf(params: Readonly<Record<string, unknown>>): ReplayChoice {
  const { events, from, to, dead } = params as { events?: number[]; from?: number; to?: number; dead?: true }
  const given = [events, from ?? to, dead].filter((part) => part !== undefined)
  if (given.length !== 1)
    throw new ActionError('invalid', 'expected one of events, from and to, or dead', { field: 'events' })
  if (dead) return 'dead'
  if (events) return { eventIds: [...new Set(events)] }
  if (from === undefined || to === undefined || from > to)
    throw new ActionError('invalid', 'from: expected from and to, from not above to', { field: 'from' })
  return { from, to }
}

/** As the audit says it: of a list how long it is. */
function describe(choice: ReplayChoice): Record<string, unknown> {
  if (choice === 'dead') return { dead: true }
  if ('from' in choice) return choice
  return choice.eventIds.length > 20 ? { events: choice.eventIds.length } : { event_ids: choice.eventIds }
}

function toWebhook(target: Target) {
  return {
    id: target.id,
    bot_id: target.botId,
    url: target.url,
    state: target.state,
    reason: target.reason,
    state_since: toTimestamp(target.stateSince),
    failing_since: target.failingSince === undefined ? null : toTimestamp(target.failingSince),
    cursor: target.cursor,
    waiting: target.waiting,
    dead: target.dead,
    taken: target.takenCount,
    failed: target.failedCount
  }
}

function toDelivery(delivery: Delivery) {
  return {
    event_id: delivery.eventId,
    webhook_id: `evt_${delivery.eventId}`,
    chat_id: delivery.chatId,
    state: delivery.state,
    attempts: delivery.attempts,
    next_at: toTimestamp(delivery.nextAt),
    created_at: toTimestamp(delivery.createdAt),
    is_replay: delivery.isReplay
  }
}

function toAttempt(attempt: Attempt) {
  return {
    id: attempt.id,
    event_id: attempt.eventId,
    webhook_id: `evt_${attempt.eventId}`,
    number: attempt.number,
    time: toTimestamp(attempt.time),
    latency_ms: attempt.latencyMs,
    status: attempt.status ?? null,
    answer: attempt.answer,
    error: attempt.error
  }
}
