import { Type, type Static } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { wholeNumber } from '../plugins/people.ts'
import { addressOf } from '../plugins/rate-limit.ts'
import type { AuditEntry } from '../src/core/audit-store.ts'
import { MIN_PASSWORD_LENGTH } from '../src/core/accounts.ts'
import type { Target, TargetState } from '../src/core/delivery-store.ts'
import { ActionError } from '../src/core/errors.ts'
import { compileParams } from '../src/core/validate.ts'
import type { Gateway } from '../src/gateway.ts'
import type { Operators } from '../src/operators.ts'
import { toTimestamp } from '../src/protocols/imsuite.ts'
import { toTokenAnswer } from '../src/protocols/imsuite-rest.ts'
import { OptionalName, ShortText, Username } from '../src/schema/common.ts'
import type { Sessions } from '../src/sessions.ts'

export interface AdminOptions {
  readonly gateway: Pick<Gateway, 'store' | 'accounts' | 'devices' | 'hub' | 'now'>
  readonly operators: Operators
  readonly sessions: Sessions
  /** Of the gateway. */
  readonly version: string
  readonly databaseBytes: () => Promise<number>
}

const SetUp = Type.Object({
  setup_code: ShortText(100),
  username: Username,
  password: Type.String({
    minLength: MIN_PASSWORD_LENGTH,
    description: `expected a password of at least ${MIN_PASSWORD_LENGTH} characters`
  }),
  nickname: Type.Optional(OptionalName(64))
})

/** The first admin, what goes on, and what operators did. */
export async function admin(app: FastifyInstance, options: AdminOptions): Promise<void> {
  const { gateway, operators, sessions, version, databaseBytes } = options
  const { store, accounts, devices, hub, now } = gateway
  const validateSetUp = compileParams(SetUp)
  const startedAt = now()

  app.post('/api/admin/setup', app.desk.setUp, async (request, reply) => {
    const order = validateSetUp(request.body) as Static<typeof SetUp>
    const { setup_code, username, password, nickname } = order
    // It is read from a terminal and typed.
    const code = setup_code.trim().toUpperCase()
    const account = await app.guesses.guard({ address: addressOf(request), name: 'set-up code' }, () =>
      accounts.setUp({ code, username, password, nickname: nickname || username })
    )
    if (!account)
      throw new ActionError(
        'forbidden',
        'setup_code: it is not this one, or it was used already; "lactea operator setup-code" makes a new one',
        { field: 'setup_code' }
      )
    const operator = `user ${account.id}`
    await operators.note({
      operator,
      action: 'console.setup',
      subject: String(account.id),
      details: {},
      ip: request.ip
    })
    return reply
      .code(201)
      .header('cache-control', 'no-store')
      .send(toTokenAnswer(await sessions.open(account), account, now()))
  })

  app.desk.look('/api/admin/overview', async () => {
    const [targets, people, bots] = await Promise.all([
      store.listTargets(),
      store.listAccounts('person'),
      store.listAccounts('bot')
    ])
    return {
      version,
      uptime: now() - startedAt,
      events: await store.lastEventId(),
      events_told: hub.position(),
      database_bytes: await databaseBytes(),
      users: people.length,
      bots: bots.length,
      bots_online: bots.filter(({ id }) => devices.has(id)).length,
      sockets: devices.count(),
      sessions: await store.countSessions(now()),
      webhooks: countStates(targets),
      waiting: sumOf(targets, 'waiting'),
      dead: sumOf(targets, 'dead')
    }
  })

  app.desk.look('/api/admin/audit', async (request) => {
    const before = wholeNumber(request, 'before', { fallback: 0, min: 1, max: Number.MAX_SAFE_INTEGER })
    const limit = wholeNumber(request, 'limit', { fallback: 50, min: 1, max: 500 })
    const entries = await store.listAudit({ limit, ...(before > 0 && { beforeId: before }) })
    return { entries: entries.map(toEntry) }
  })
}

function countStates(targets: readonly Target[]): Record<TargetState, number> {
  const counts = { active: 0, paused: 0, disabled: 0 }
  for (const { state } of targets) counts[state]++
  return counts
}

function sumOf(targets: readonly Target[], count: 'waiting' | 'dead'): number {
  return targets.reduce((sum, target) => sum + target[count], 0)
}

function toEntry({ time, ...entry }: AuditEntry) {
  return { ...entry, time: toTimestamp(time) }
}
