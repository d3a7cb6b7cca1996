import { createHash } from 'node:crypto'
import { maskUrl, type BotConfig, type Limits, type WebhookConfig } from '../src/config.ts'
import type { GatewayEvent } from '../src/core/event.ts'
import { MAX_RECIPIENTS } from '../src/core/notices.ts'
import type { Gateway } from '../src/gateway.ts'
import { cursorName } from '../src/net/cursor.ts'
import { createFollower } from '../src/net/follower.ts'
import { createDoorbell, isClosedDoor } from '../src/net/doorbell.ts'
import { parseRetryAfter } from '../src/net/delivery-schedule.ts'
import { startDelivery, type Failure, type Try } from '../src/net/delivery.ts'
import { openPoster, type PostAnswer } from '../src/net/poster.ts'
import { isOwnMessage } from '../src/net/serve.ts'
import { sign, toSigningKey } from '../src/net/signature.ts'
import type { Running } from '../src/net/targets.ts'
import { draftWebhookCodec } from '../src/protocols/milky-draft.ts'
import { createMilkyCodec } from '../src/protocols/milky-events.ts'
import { parseObject } from '../src/protocols/json.ts'
import { createId } from '../src/secrets.ts'

export interface MilkyWebhookOptions {
  readonly gateway: Gateway
  readonly bot: BotConfig
  readonly target: WebhookConfig
  readonly limits: Limits
}

/** What a receiver may answer; the rest is not read. */
const MAX_ANSWER = 1024 * 1024
const MAX_ACTIONS = 64
/** Bytes of an answer that are kept for people to read. */
const KEPT_ANSWER = 512
/** What is read of an answer that is no success, so that its connection can be used again. */
const MAX_REFUSAL = 64 * 1024

/** As they were encoded first; who tries again much later has read the event anew. */
const bodies = new WeakMap<GatewayEvent, Map<string, string | undefined>>()

/** The name of a webhook, the same over restarts. The address goes in as a digest, since it may hold a secret. */
export function targetIdOf(botId: number, url: string): string {
  return `${botId}-${createHash('sha256').update(url).digest('hex').slice(0, 12)}`
}

/** Milky webhook, of the draft (contract 1.2) or of 1.2 (contract 2.2): posts each event to one address until it is taken. */
export async function startMilkyWebhook({ gateway, bot, target, limits }: MilkyWebhookOptions): Promise<Running> {
  const { store, hub, clock } = gateway
  const isDraft = target.format === 'draft'
  const dispatcher = isDraft ? gateway.draft : gateway.milky
  // A new one remembers nothing: after a day of tries the addresses of media in an event are others.
  const openCodec = isDraft
    ? () => draftWebhookCodec
    : () => createMilkyCodec(gateway.links.absoluteLinkOf, limits.group_members)
  const id = targetIdOf(bot.id, target.url)
  const log = gateway.log.child({ door: 'webhook', bot: bot.id, webhook: id, url: maskUrl(target.url) })
  const lookup = await gateway.outgoing.lookupFor(target.url, (words) => log.warn(words))
  const poster = await openPoster({
    url: target.url,
    connections: target.parallel,
    timeoutMs: target.timeout,
    lookup,
    maxAnswer: (status) => (isSuccess(status) ? MAX_ANSWER : MAX_REFUSAL)
  })
  const keys = [target.secret, target.previous_secret].flatMap((secret) => (secret ? [toSigningKey(secret)] : []))
  const deviceId = createId()
  let leave: (() => void) | undefined
  /** The bot was switched off: it hears of that, and of nothing after it. */
  let isOff = false
  /** Names and values in turns. */
  const headers = ['content-type', 'application/json', 'x-self-id', String(bot.id), 'user-agent', 'lactea']
  if (target.access_token) headers.push('authorization', `Bearer ${target.access_token}`)

  /** People see the bot as online while its receiver takes what it is sent; before the first try it is believed in. */
  function setThere(isThere: boolean): void {
    if (isThere && !isOff) {
      leave ??= gateway.devices.add({ id: deviceId, accountId: bot.id, kind: 'bot' })
      return
    }
    leave?.()
    leave = undefined
  }

  /** What all webhooks of the bot are posted, and in the draft those of all bots of a group, is written once. */
  function bodyFor(event: GatewayEvent): string | undefined {
    const key = isDraft && event.chat.kind === 'group' ? 'draft' : `${target.format} ${bot.id}`
    const known = bodies.get(event) ?? new Map<string, string | undefined>()
    if (known.size === 0) bodies.set(event, known)
    if (!known.has(key)) known.set(key, openCodec().encodeEvent(event, bot.id))
    return known.get(key)
  }

  /** Rejects only when `outer` has cut it off. */
  async function deliver(event: GatewayEvent, number: number, outer: AbortSignal): Promise<Try | undefined> {
    const body = bodyFor(event)
    if (body === undefined) return undefined
    const startedAt = performance.now()
    try {
      const answer = await poster.post([...headers, ...stamp(event.id, body)], body, outer)
      const latencyMs = performance.now() - startedAt
      const isTaken = isSuccess(answer.status)
      setThere(isTaken)
      bell.rest()
      if (isTaken && answer.isWhole && answer.body.length > 0) await runActions(answer.body.toString('utf8'))
      return { ...toTry(answer), latencyMs }
    } catch (err) {
      if (outer.aborted) throw err
      setThere(false)
      if (isClosedDoor(err)) bell.ring()
      return { answer: '', latencyMs: performance.now() - startedAt, error: toWords(err) }
    }
  }

  function toTry({ status, retryAfter, body }: PostAnswer): Omit<Try, 'latencyMs'> {
    const answer = body.length === 0 ? '' : body.toString('utf8', 0, KEPT_ANSWER)
    if (isSuccess(status)) return { status, answer, error: '' }
    const retryAfterS = status === 429 || status === 503 ? parseRetryAfter(retryAfter, clock.now()) : 0
    return { status, answer, error: `the receiver answered ${status}`, retryAfterS, isGone: status === 410 }
  }

  /** Standard Webhooks headers: a stable id to deduplicate by and, with a secret, the signature. */
  function stamp(eventId: number, body: string): string[] {
    const mark = { id: `evt_${eventId}`, time: clock.now() }
    const shown = ['webhook-id', mark.id, 'webhook-timestamp', String(mark.time)]
    return keys.length > 0 ? [...shown, 'webhook-signature', sign(keys, mark, body)] : shown
  }

  /** "Processes the response": `{"actions":[{"action","params"}]}` is run as the bot; any other body means nothing. */
  async function runActions(text: string): Promise<void> {
    for (const { action, params } of readActions(text)) {
      const outcome = await dispatcher.dispatch(action, params, { accountId: bot.id })
      if (!outcome.ok)
        log.warn({ action, reason: outcome.error.message }, 'an action in the answer of a webhook failed')
    }
  }

  const wantedTypes = target.events && new Set(target.events)
  const wantedChats = target.chats && new Set(target.chats)
  const { eventType } = openCodec()

  function wants(event: GatewayEvent): boolean {
    if (!bot.report_self && isOwnMessage(event, bot.id)) return false
    if (wantedChats && !wantedChats.has(peerOf(event, bot.id))) return false
    return !wantedTypes || wantedTypes.has(eventType(event) ?? '')
  }

  function onFailure({ eventId, number, tried, nextAt }: Failure): void {
    const about = { event: eventId, attempt: number, status: tried.status, reason: tried.error }
    if (nextAt === undefined) log.error(about, 'webhook delivery failed for the last time; it can be asked for again')
    else log.warn({ ...about, inS: nextAt - gateway.steady.now() }, 'webhook delivery failed, will try again')
  }

  /** Once for each time: whoever runs the gateway should not have to look for it. */
  function onDisabled(reason: string): void {
    log.error({ reason }, 'the webhook is switched off, nothing is lost; see `lactea webhook resume`')
    void tellOperators(gateway, { id, url: maskUrl(target.url), reason, keep: limits.audit_entries }).catch(
      gateway.onError
    )
  }

  const place = await store.openTarget({
    id,
    botId: bot.id,
    url: maskUrl(target.url),
    cursorName: cursorName('webhook', bot.id, target.url),
    time: clock.now()
  })
  const follower = createFollower({
    store,
    hub,
    accountId: bot.id,
    from: place.target.cursor,
    wants(event) {
      if (isOff) return false
      isOff = event.kind === 'account.disabled'
      if (isOff) setThere(false)
      return wants(event)
    },
    // Everything up to here was given to all who follow.
    onCaughtUp: () => delivery.reach(hub.position()),
    onError: gateway.onError
  })
  const delivery = startDelivery({
    store,
    clock: gateway.steady,
    place,
    follower,
    wants,
    deliver,
    onFailure,
    onDisabled,
    onState(isActive, reason) {
      setThere(isActive)
      if (!isActive) bell.rest()
      log.info({ reason }, isActive ? 'the webhook goes on' : 'the webhook stops')
    },
    onLost: (lost) =>
      log.warn(lost, 'the log does not go back far enough: the webhook has missed events (see `limits.log_age`)'),
    onError: gateway.onError,
    concurrency: target.parallel,
    maxWaiting: limits.webhook_waiting,
    keepAttempts: limits.webhook_attempts
  })

  const bell = createDoorbell({ url: target.url, lookup, clock, onOpen: delivery.retryNow })
  setThere(place.target.state === 'active')
  return {
    async stop() {
      await delivery.stop()
      bell.rest()
      setThere(false)
      await poster.close()
    }
  }
}

/** The number under which the bot knows the chat: that of the group, or of the other side; 0 for what is in no chat. */
function peerOf({ chat }: GatewayEvent, botId: number): number {
  if (chat.kind === 'group') return chat.id
  if (chat.kind === 'inbox') return 0
  return chat.parties.find((party) => party.id !== botId)?.id ?? botId
}

interface Disabled {
  readonly id: string
  readonly url: string
  readonly reason: string
  /** Entries of the audit that are kept. */
  readonly keep: number
}

async function tellOperators({ store, notices, now }: Gateway, { id, url, reason, keep }: Disabled): Promise<void> {
  const entry = {
    time: now(),
    operator: 'gateway',
    action: 'webhook.disable',
    subject: id,
    details: { reason },
    ip: ''
  }
  await store.addAudit(entry, keep)
  const people = await store.listAccounts('person')
  const audience = people.filter(({ isAdmin, isDisabled }) => isAdmin && !isDisabled).map((account) => account.id)
  if (audience.length === 0) return
  await notices.send({
    audience: audience.slice(0, MAX_RECIPIENTS),
    kind: 'warning',
    title: 'A webhook is switched off',
    message: `${id} (${url}): ${reason}. Nothing is lost; "lactea webhook resume ${id}" goes on.`,
    actionUrl: ''
  })
}

/** Words for what keeps a request from being answered; with several addresses the error itself has none. */
function toWords(err: unknown): string {
  const { message, code } = err as Error & { code?: string }
  return message || code || 'the receiver could not be reached'
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function readActions(text: string): { action: string; params: unknown }[] {
  if (text === '') return []
  try {
    const { actions } = parseObject(text)
    if (!Array.isArray(actions)) return []
    const isCall = (value: unknown): value is { action: string; params: unknown } =>
      typeof value === 'object' && value !== null && 'action' in value && typeof value.action === 'string'
    return actions.filter(isCall).slice(0, MAX_ACTIONS)
  } catch {
    return []
  }
}
