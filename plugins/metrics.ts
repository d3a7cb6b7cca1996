import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type * as PromClient from 'prom-client'
import type { Door } from '../src/config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

/** One value for each set of labels. No label may hold a token, a key or an address. */
export type Samples = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[]

export interface Metric {
  /** Begins with `lactea_`; that of a counter ends with `_total`. */
  readonly name: string
  readonly help: string
  /** A gauge goes up and down, a counter only up. */
  readonly kind: 'gauge' | 'counter'
  readonly labels?: readonly string[]
  /** Asked for at each reading, so that nobody has to tell while they work; a number is one value without labels. */
  readonly read: () => number | Samples | Promise<number | Samples>
}

export interface Metrics {
  readonly add: (metric: Metric) => void
  /** All of them and those of the process, as Prometheus reads them. */
  readonly render: () => Promise<{ readonly type: string; readonly text: string }>
}

const DOORS_WITH_SOCKETS = ['milky', 'im', 'maim'] as const satisfies readonly Door[]

type Client = typeof PromClient
type Registry = PromClient.Registry

/** Those of the process: one set, however many gateways run in it. */
let ofProcess: Registry | undefined

/**
 * What is measured is loaded and made when somebody reads it first: most never do, and it would cost 40 ms of each start.
 * Comes before all routes with WebSockets.
 */
export default fp(async (app: FastifyInstance) => {
  const metrics: Metric[] = []
  let own: Registry | undefined

  async function render(): ReturnType<Metrics['render']> {
    const client = await import('prom-client')
    ofProcess ??= createProcessRegistry(client)
    own ??= createRegistry(client, metrics)
    const all = client.Registry.merge([ofProcess, own])
    return { type: all.contentType, text: await all.metrics() }
  }

  countSockets(app, metrics)
  app.decorate('metrics', { add: (metric) => void metrics.push(metric), render })
})

/** Open WebSockets by the door they came in by. */
function countSockets(app: FastifyInstance, metrics: Metric[]): void {
  const counts = new Map<string, { open: number; readonly leave: () => void }>()
  for (const door of DOORS_WITH_SOCKETS) {
    const count = { open: 0, leave: () => void count.open-- }
    counts.set(door, count)
  }
  function take({ ws, routeOptions, raw }: FastifyRequest, _reply: unknown, done: () => void): void {
    const count = ws && counts.get(routeOptions.config.doors?.[0] ?? '')
    // Who has gone while the token was looked at never closes again.
    if (count && !raw.socket.destroyed) {
      count.open++
      // One function for all: with many sockets one for each would be felt.
      raw.socket.on('close', count.leave)
    }
    done()
  }
  // At routes with sockets alone: calls do not pay for it.
  app.addHook('onRoute', (route) => {
    if (route.config?.maxFrame !== undefined) route.preHandler = [route.preHandler ?? [], take].flat()
  })
  metrics.push({
    name: 'lactea_websockets',
    help: 'WebSockets that are open at our doors.',
    kind: 'gauge',
    labels: ['door'],
    read: () => [...counts].map(([door, { open }]) => [{ door }, open])
  })
}

function createProcessRegistry({ Registry, collectDefaultMetrics }: Client): Registry {
  const register = new Registry()
  collectDefaultMetrics({ register })
  return register
}

function createRegistry({ Registry, Counter, Gauge }: Client, metrics: readonly Metric[]): Registry {
  const registry = new Registry()
  for (const { name, help, kind, labels = [], read } of metrics) {
    const Kind = kind === 'gauge' ? Gauge : Counter
    const shown = new Kind({
      name,
      help,
      labelNames: labels,
      registers: [registry],
      async collect() {
        const found = await read()
        shown.reset()
        for (const [at, value] of typeof found === 'number' ? [[{}, found] as const] : found) shown.inc(at, value)
      }
    })
  }
  return registry
}
