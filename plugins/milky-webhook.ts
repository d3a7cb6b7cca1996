import { createHash } from 'node:crypto'
import { maskUrl, type BotConfig, type Limits, type WebhookConfig } from '../src/config.ts'
import type { GatewayEvent } from '../src/core/event.ts'
import { MAX_RECIPIENTS } from '../src/core/notices.ts'
import type { Gateway } from '../src/gateway.ts'
import { cursorName } from '../src/net/cursor.ts'
import { createFollower } from '../src/net/follower.ts'
import { withDeadline } from '../src/net/deadline.ts'
import { createDoorbell, isClosedDoor } from '../src/net/doorbell.ts'
import { parseRetryAfter } from '../src/net/delivery-schedule.ts'
import { startDelivery, type Failure, type Try } from '../src/net/delivery.ts'
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
  // Loaded when there is a webhook: who starts the gateway should not wait for it.
  const { Agent, request } = await import('undici')
  const lookup = await gateway.outgoing.lookupFor(target.url, (words) => log.warn(words))
  const agent = new Agent({ connections: target.parallel, pipelining: 1, connect: { timeout: target.timeout, lookup } })
  const keys = [target.secret, target.previous_secret].flatMap((secret) => (secret ? [toSigningKey(secret)] : []))
  const deviceId = createId()
  let leave: (() => void) | undefined
  /** The bot was switched off: it hears of that, and of nothing after it. */
  let isOff = false
  const headers = {
    'content-type': 'application/json',
    'x-self-id': String(bot.id),
    'user-agent': 'lactea',
    ...(target.access_token && { authorization: `Bearer ${target.access_token}` })
  }

  /** People see the bot as online while its receiver takes what it is sent; before the first try it is believed in. */
  function setThere(isThere: boolean): void {
    if (isThere && !isOff) {
      leave ??= gateway.devices.add({ id: deviceId, accountId: bot.id, kind: 'bot' })
      return
    }
    leave?.()
    leave = undefined
  }

  /** Rejects only when `outer` has cut it off. */
  async function deliver(event: GatewayEvent, number: number, outer: AbortSignal): Promise<Try | undefined> {
    const body = openCodec().encodeEvent(event, bot.id)
    if (body === undefined) return undefined
    const startedAt = performance.now()
    try {
      const { text, ...tried } = await withDeadline({ ms: target.timeout, outer }, (signal) =>
        post(event.id, body, signal)
      )
      setThere(tried.error === '')
      bell.rest()
      const latencyMs = performance.now() - startedAt
      if (text !== undefined) await runActions(text)
      return { ...tried, latencyMs }
    } catch (err) {
      if (outer.aborted) throw err
      setThere(false)
      if (isClosedDoor(err)) bell.ring()
      return { answer: '', latencyMs: performance.now() - startedAt, error: toWords(err) }
    }
  }

  /** The body is there when it was a 2xx answer. Rejects when there was none in time. */
  async function post(
    eventId: number,
    body: string,
    signal: AbortSignal
  ): Promise<Omit<Try, 'latencyMs'> & { readonly text?: string }> {
    const answer = await request(target.url, {
      method: 'POST',
      headers: { ...headers, ...stamp(eventId, body) },
      body,
      dispatcher: agent,
      // The deadline is ours, over the whole of it.
      headersTimeout: 0,
      bodyTimeout: 0,
      signal
    })
    const { statusCode: status } = answer
    const isTaken = status >= 200 && status < 300
    // The status is the acknowledgement: a body that breaks off does not take it back.
    const read = await readBounded(answer.body, isTaken ? MAX_ANSWER : MAX_REFUSAL).catch(() => undefined)
    const kept = read?.start.toString('utf8') ?? ''
    if (isTaken) return { status, answer: kept, error: '', text: read?.whole?.toString('utf8') ?? '' }
    const wait =
      status === 429 || status === 503 ? parseRetryAfter(header(answer.headers['retry-after']), clock.now()) : 0
    return { status, answer: kept, error: `the receiver answered ${status}`, retryAfterS: wait, isGone: status === 410 }
  }

  /** Standard Webhooks headers: a stable id to deduplicate by and, with a secret, the signature. */
  function stamp(eventId: number, body: string): Record<string, string> {
    const mark = { id: `evt_${eventId}`, time: clock.now() }
    const shown = { 'webhook-id': mark.id, 'webhook-timestamp': String(mark.time) }
    return keys.length > 0 ? { ...shown, 'webhook-signature': sign(keys, mark, body) } : shown
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
      await agent.destroy()
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

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

/** The beginning, and the whole when it is not more than `limit`. */
async function readBounded(
  body: AsyncIterable<Buffer>,
  limit: number
): Promise<{ readonly start: Buffer; readonly whole: Buffer | undefined }> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    chunks.push(chunk)
    if (size > limit) break
  }
  const read = Buffer.concat(chunks)
  return { start: read.subarray(0, KEPT_ANSWER), whole: size > limit ? undefined : read }
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
