import type { ReplayChoice, Target, TargetDesk, TargetState } from '../core/delivery-store.ts'
import { toTable, toTime } from './table.ts'

interface Desk {
  readonly store: TargetDesk
}

export async function listWebhooks({ store }: Desk): Promise<string> {
  const targets = await store.listTargets()
  return toTable(
    targets.map(toRow),
    'no webhooks: they stand in the configuration, and are known once the gateway has run'
  )
}

export async function showWebhook({ store }: Desk, id: string): Promise<string> {
  const target = await mustFind(store, id)
  const dead = await store.listDeliveries(id, 'dead', { limit: SHOWN })
  const waiting = await store.listDeliveries(id, 'waiting', { limit: SHOWN })
  return [
    `webhook ${target.id} of bot ${target.botId}: ${target.url}`,
    `${describeState(target)} since ${toTime(target.stateSince)}`,
    ...(target.failingSince === undefined ? [] : [`failing since ${toTime(target.failingSince)}`]),
    `delivered up to event ${target.cursor}; ${target.waiting} wait, ${target.dead} are dead`,
    `tries: ${target.takenCount} taken, ${target.failedCount} failed`,
    ...[...dead, ...waiting].map(({ eventId, state, attempts, nextAt }) =>
      state === 'dead'
        ? `  event ${eventId}: dead after ${attempts} tries`
        : `  event ${eventId}: ${attempts} tries, the next at ${toTime(nextAt)}`
    )
  ].join('\n')
}

export async function listAttempts({ store }: Desk, id: string, { event, last }: AttemptOptions): Promise<string> {
  await mustFind(store, id)
  const attempts = await store.listAttempts(id, { limit: last, eventId: event })
  const rows = attempts.toReversed().map((attempt) => {
    const outcome = attempt.status === undefined ? 'no answer' : String(attempt.status)
    const words = [attempt.error, attempt.answer].filter((part) => part !== '').map(onOneLine)
    return [
      toTime(attempt.time),
      `event ${attempt.eventId}`,
      `try ${attempt.number}`,
      outcome,
      `${attempt.latencyMs} ms`,
      words.join(': ')
    ]
  })
  return toTable(rows, 'no attempts')
}

export interface AttemptOptions {
  readonly event?: number | undefined
  readonly last: number
}

export async function setWebhookState(
  { store }: Desk,
  id: string,
  state: Extract<TargetState, 'active' | 'paused'>,
  reason = ''
): Promise<string> {
  await mustFind(store, id)
  const words = state === 'paused' ? reason || 'paused on the command line' : ''
  const isChanged = await store.setTargetState(id, { state, reason: words, time: now() })
  const verb = state === 'paused' ? 'is paused' : 'is active'
  return `webhook ${id} ${verb}${isChanged ? '' : ' already'}`
}

export interface ReplayOptions {
  readonly event?: readonly number[]
  readonly from?: number
  readonly to?: number
  readonly dead?: boolean
}

export async function replayWebhook({ store }: Desk, id: string, options: ReplayOptions): Promise<string> {
  await mustFind(store, id)
  const due = await store.replay(id, choiceOf(options), now())
  return `${due} events are sent again to webhook ${id}`
}

function choiceOf({ event, from, to, dead }: ReplayOptions): ReplayChoice {
  const isRange = from !== undefined || to !== undefined
  if ([event !== undefined, isRange, dead === true].filter(Boolean).length !== 1)
    throw new Error('say what is sent again: --event N…, or --from N --to N, or --dead')
  if (event) return { eventIds: event }
  if (dead) return 'dead'
  if (from === undefined || to === undefined || from > to)
    throw new Error('a range wants --from and --to, in this order')
  return { from, to }
}

/** Deliveries of each state that are shown with a webhook. */
const SHOWN = 20

const now = (): number => Math.floor(Date.now() / 1000)

async function mustFind(store: TargetDesk, id: string): Promise<Target> {
  const target = await store.findTarget(id)
  if (!target) throw new Error(`there is no webhook ${id}; "lactea webhook list" names them`)
  return target
}

function toRow(target: Target): string[] {
  return [
    target.id,
    target.state,
    `${target.waiting} waiting`,
    `${target.dead} dead`,
    target.failingSince === undefined ? 'works' : `failing since ${toTime(target.failingSince)}`,
    target.url
  ]
}

function describeState({ state, reason }: Target): string {
  return reason === '' ? state : `${state} (${reason})`
}

function onOneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 120)
}
