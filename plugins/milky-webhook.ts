import { createHmac, createSecretKey } from 'node:crypto'
import { maskUrl, type BotConfig, type WebhookConfig } from '../src/config.ts'
import type { GatewayEvent } from '../src/core/event.ts'
import type { Gateway } from '../src/gateway.ts'
import { cursorName } from '../src/net/cursor.ts'
import { createFollower } from '../src/net/follower.ts'
import { withDeadline } from '../src/net/deadline.ts'
import { startDelivery } from '../src/net/delivery.ts'
import { isOwnMessage } from '../src/net/serve.ts'
import type { Running } from '../src/net/targets.ts'
import { draftWebhookCodec } from '../src/protocols/milky-draft.ts'
import { createMilkyCodec } from '../src/protocols/milky-events.ts'
import { parseObject } from '../src/protocols/json.ts'
import { createId } from '../src/secrets.ts'

export interface MilkyWebhookOptions {
  readonly gateway: Gateway
  readonly bot: BotConfig
  readonly target: WebhookConfig
  /** Of one group. */
  readonly maxMembers: number
}

/** What a receiver may answer; the rest is not read. */
const MAX_ANSWER = 1024 * 1024
const MAX_ACTIONS = 64

/** Milky webhook, of the draft (contract 1.2) or of 1.2 (contract 2.2): posts each event to one address until it is taken. */
export async function startMilkyWebhook({ gateway, bot, target, maxMembers }: MilkyWebhookOptions): Promise<Running> {
  const { store, hub } = gateway
  const isDraft = target.format === 'draft'
  const dispatcher = isDraft ? gateway.draft : gateway.milky
  // A new one remembers nothing: after a day of tries the addresses of media in an event are others.
  const openCodec = isDraft ? () => draftWebhookCodec : () => createMilkyCodec(gateway.links.absoluteLinkOf, maxMembers)
  const log = gateway.log.child({ door: 'webhook', bot: bot.id, url: maskUrl(target.url) })
  // Loaded when there is a webhook: who starts the gateway should not wait for it.
  const { Agent, request } = await import('undici')
  const lookup = await gateway.outgoing.lookupFor(target.url, (words) => log.warn(words))
  const agent = new Agent({ connections: target.parallel, pipelining: 1, connect: { timeout: target.timeout, lookup } })
  const cursor = cursorName('webhook', bot.id, target.url)
  const key = target.secret && createSecretKey(Buffer.from(target.secret.replace(/^whsec_/, ''), 'base64'))
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

  async function deliver(event: GatewayEvent, attempt: number, outer: AbortSignal): Promise<void> {
    const body = openCodec().encodeEvent(event, bot.id)
    if (body === undefined) return
    try {
      const text = await withDeadline({ ms: target.timeout, outer }, (signal) => post(event.id, attempt, body, signal))
      setThere(true)
      await runActions(text)
    } catch (err) {
      setThere(false)
      throw err
    }
  }

  /** Gives the body of a 2xx answer; rejects on everything else. */
  async function post(eventId: number, attempt: number, body: string, signal: AbortSignal): Promise<string> {
    const answer = await request(target.url, {
      method: 'POST',
      headers: { ...headers, ...sign(eventId, body) },
      body,
      dispatcher: agent,
      // The deadline is ours, over the whole of it.
      headersTimeout: 0,
      bodyTimeout: 0,
      signal
    })
    const isTaken = answer.statusCode >= 200 && answer.statusCode < 300
    // The status is the acknowledgement: a body that breaks off does not take it back.
    if (isTaken) return readBounded(answer.body).catch(() => '')
    await answer.body.dump()
    throw new Error(`the receiver answered ${answer.statusCode} to event ${eventId}, try ${attempt}`)
  }

  /** Standard Webhooks headers: a stable id to deduplicate by and, with a secret, the signature. */
  function sign(eventId: number, body: string): Record<string, string> {
    const id = `evt_${eventId}`
    const timestamp = String(gateway.now())
    if (!key) return { 'webhook-id': id, 'webhook-timestamp': timestamp }
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
    return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
  }

  /** "Processes the response": `{"actions":[{"action","params"}]}` is run as the bot; any other body means nothing. */
  async function runActions(text: string): Promise<void> {
    for (const { action, params } of readActions(text)) {
      const outcome = await dispatcher.dispatch(action, params, { accountId: bot.id })
      if (!outcome.ok)
        log.warn({ action, reason: outcome.error.message }, 'an action in the answer of a webhook failed')
    }
  }

  const wanted = target.events && new Set(target.events)
  const { eventType } = openCodec()
  const follower = createFollower({
    store,
    hub,
    accountId: bot.id,
    from: await store.openCursor(cursor),
    wants(event) {
      if (isOff) return false
      isOff = event.kind === 'account.disabled'
      if (isOff) setThere(false)
      if (!bot.report_self && isOwnMessage(event, bot.id)) return false
      return !wanted || wanted.has(eventType(event) ?? '')
    },
    onError: gateway.onError
  })
  const delivery = startDelivery({
    follower,
    deliver,
    saveCursor: (eventId) => store.saveCursor(cursor, eventId),
    concurrency: target.parallel,
    onError: (err) => log.warn({ err }, 'webhook delivery failed, will try again')
  })

  setThere(true)
  return {
    async stop() {
      await delivery.stop()
      setThere(false)
      await agent.destroy()
    }
  }
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > MAX_ANSWER) return ''
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
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
