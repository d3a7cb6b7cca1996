import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Metric, Samples } from '../plugins/metrics.ts'
import { admit as admitAt, type Identify } from '../src/admission.ts'
import type { Config } from '../src/config.ts'
import type { Target } from '../src/core/delivery-store.ts'
import type { Gateway } from '../src/gateway.ts'
import type { DoorStats, MaimStats } from '../src/net/maim-stats.ts'
import { createKeyring } from '../src/secrets.ts'

export interface MetricsOptions {
  readonly gateway: Gateway
  readonly config: Config
  /** What the doors and links of maim_message count. */
  readonly stats: MaimStats
  readonly databaseBytes: () => Promise<number>
  /** Of the gateway. */
  readonly version: string
}

/** `GET /metrics`: what goes on, for Prometheus and whoever reads as it does. */
export async function metrics(app: FastifyInstance, options: MetricsOptions): Promise<void> {
  const { server } = options.config
  let identify = identifyReader(server.metrics_token)
  options.gateway.onConfigChange(() => (identify = identifyReader(server.metrics_token)))
  for (const metric of [
    ...describeGateway(options),
    ...describeWebhooks(options.gateway),
    ...describeMaim(options.stats)
  ])
    app.metrics.add(metric)

  /** Decided before anything is read. Whoever guesses is counted by address. */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const { why } = await admitAt(request, 'metrics', identify)
    if (why === undefined) return undefined
    const refuse = (status: number, message: string): FastifyReply =>
      reply.code(status).send({ status: 'failed', retcode: -status, message })
    const waitS = app.budgets.http(request)
    if (waitS !== undefined)
      return refuse(429, `too many requests; try again in ${waitS} s`).header('retry-after', waitS)
    if (server.metrics_token !== null)
      return refuse(401, 'send the header "Authorization: Bearer <server.metrics_token>"')
    return refuse(403, 'without server.metrics_token only programs on this machine may read this, as localhost')
  }

  app.get('/metrics', { onRequest: admit }, async (_request, reply) => {
    const { type, text } = await app.metrics.render()
    return reply.type(type).header('cache-control', 'no-store').send(text)
  })
}

/** Who has the token; where there is none, programs on this machine. */
function identifyReader(token: string | null): Identify<'reader'> {
  if (token === null) return () => ({ who: 'reader', isBare: true })
  const keyring = createKeyring([[token, { who: 'reader' }] as const])
  return keyring.find
}

function describeGateway({ gateway, databaseBytes, version }: MetricsOptions): Metric[] {
  const { store, hub, devices } = gateway
  const online = { bot: 0, person: 0 }
  devices.watch({
    joined({ accountId, kind }) {
      if (devices.of(accountId).length === 1) online[kind]++
    },
    left({ accountId, kind }) {
      if (!devices.has(accountId)) online[kind]--
    }
  })
  return [
    {
      name: 'lactea_info',
      help: 'The version that runs; always 1.',
      kind: 'gauge',
      labels: ['version'],
      read: () => [[{ version }, 1]]
    },
    {
      name: 'lactea_bots_online',
      help: 'Bots that are connected, whoever dialled.',
      kind: 'gauge',
      read: () => online.bot
    },
    { name: 'lactea_people_online', help: 'People who are connected.', kind: 'gauge', read: () => online.person },
    {
      name: 'lactea_events_total',
      help: 'Events in the log; the id of the last one.',
      kind: 'counter',
      read: () => store.lastEventId()
    },
    {
      name: 'lactea_events_told_total',
      help: 'Id of the event up to which all were told to those who are connected.',
      kind: 'counter',
      read: () => hub.position()
    },
    {
      name: 'lactea_log_oldest_event',
      help: 'Id of the last event that was dropped from the log; 0 while none was.',
      kind: 'gauge',
      read: () => store.oldestCursor()
    },
    { name: 'lactea_listeners', help: 'Who is told of events as they happen.', kind: 'gauge', read: () => hub.size() },
    {
      name: 'lactea_database_bytes',
      help: 'Size of the database with its write-ahead log.',
      kind: 'gauge',
      read: databaseBytes
    }
  ]
}

/** Webhooks by their names, which hold no address. */
function describeWebhooks({ store }: Gateway): Metric[] {
  const read = async (values: (target: Target) => Readonly<Record<string, number>>, label?: string): Promise<Samples> =>
    (await store.listTargets()).flatMap((target) =>
      Object.entries(values(target)).map(([name, value]) => {
        const labels = { bot: String(target.botId), webhook: target.id }
        return [label === undefined ? labels : { ...labels, [label]: name }, value] as const
      })
    )
  return [
    {
      name: 'lactea_webhook_pending',
      help: 'Events that wait in the database for a further try, and those that wait behind them.',
      kind: 'gauge',
      labels: ['bot', 'webhook'],
      read: () => read(({ waiting }) => ({ waiting }))
    },
    {
      name: 'lactea_webhook_dead',
      help: 'Events whose tries are used up.',
      kind: 'gauge',
      labels: ['bot', 'webhook'],
      read: () => read(({ dead }) => ({ dead }))
    },
    {
      name: 'lactea_webhook_behind',
      help: 'Events in the log behind the place of a webhook, for it or not.',
      kind: 'gauge',
      labels: ['bot', 'webhook'],
      async read() {
        const last = await store.lastEventId()
        return read(({ cursor }) => ({ behind: Math.max(0, last - cursor) }))
      }
    },
    {
      name: 'lactea_webhook_active',
      help: '1 while events are delivered, 0 while a webhook is paused or switched off.',
      kind: 'gauge',
      labels: ['bot', 'webhook'],
      read: () => read(({ state }) => ({ active: state === 'active' ? 1 : 0 }))
    },
    {
      name: 'lactea_webhook_attempts_total',
      help: 'Tries, by what came of them.',
      kind: 'counter',
      labels: ['bot', 'webhook', 'result'],
      read: () => read(({ takenCount, failedCount }) => ({ taken: takenCount, failed: failedCount }), 'result')
    }
  ]
}

type Counted = Exclude<keyof DoorStats, 'dropped'>

const MAIM: Record<Counted, Pick<Metric, 'name' | 'help' | 'kind'>> = {
  users: {
    name: 'lactea_maim_users',
    help: 'Accounts (at the legacy door: platforms) that are connected.',
    kind: 'gauge'
  },
  connections: { name: 'lactea_maim_connections', help: 'Connections that are open.', kind: 'gauge' },
  received: {
    name: 'lactea_maim_messages_received_total',
    help: 'Messages that peers sent us, acknowledgements apart.',
    kind: 'counter'
  },
  sent: {
    name: 'lactea_maim_messages_sent_total',
    help: 'Messages that were given to a connection for the first time, counted for each connection.',
    kind: 'counter'
  },
  acksOut: { name: 'lactea_maim_acks_sent_total', help: 'Acknowledgements that we sent.', kind: 'counter' },
  acksIn: { name: 'lactea_maim_acks_received_total', help: 'Acknowledgements that peers sent us.', kind: 'counter' },
  repeats: {
    name: 'lactea_maim_retries_total',
    help: 'Messages that were sent again because nobody had acknowledged them.',
    kind: 'counter'
  },
  refused: { name: 'lactea_maim_refused_total', help: 'Connections that were turned away.', kind: 'counter' },
  duplicates: {
    name: 'lactea_maim_duplicates_total',
    help: 'Messages that peers sent again and that were not done again.',
    kind: 'counter'
  },
  kept: {
    name: 'lactea_maim_kept_total',
    help: 'Messages that were written down because nobody was there to take them.',
    kind: 'counter'
  },
  keptDelivered: {
    name: 'lactea_maim_kept_delivered_total',
    help: 'Kept messages that somebody took later.',
    kind: 'counter'
  },
  undeliverable: {
    name: 'lactea_maim_undeliverable_total',
    help: 'Messages that were for nobody we know.',
    kind: 'counter'
  }
}

function describeMaim(stats: MaimStats): Metric[] {
  const doors = ['api', 'legacy', 'links'] as const satisfies readonly (keyof MaimStats)[]
  const counted = (Object.keys(MAIM) as Counted[]).map((key): Metric => ({
    ...MAIM[key],
    labels: ['door'],
    read: () => doors.map((door) => [{ door }, stats[door][key]])
  }))
  const readDropped = (): Samples =>
    doors.flatMap((door) =>
      Object.entries(stats[door].dropped).map(
        ([reason, count]) => [{ door, reason: reason.replaceAll(' ', '_') }, count] as const
      )
    )
  return [
    ...counted,
    {
      name: 'lactea_maim_dropped_total',
      help: 'Messages that were given up.',
      kind: 'counter',
      labels: ['door', 'reason'],
      read: readDropped
    }
  ]
}
