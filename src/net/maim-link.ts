import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { MessageConverter } from '../../sdk/src/converter.ts'
import { createCustomMessage } from '../../sdk/src/custom.ts'
import { createMessageId, encodeEnvelope } from '../../sdk/src/envelope.ts'
import { encodeLegacy, readLegacy } from '../../sdk/src/legacy-session.ts'
import { APIMessageBase, isObject, MessageBase, MessageError } from '../../sdk/src/message.ts'
import { Outbox } from '../../sdk/src/outbox.ts'
import { Seen } from '../../sdk/src/seen.ts'
import { ApiSession, type AckNote, type Received, type SessionCount } from '../../sdk/src/session.ts'
import type { GatewayEvent } from '../core/event.ts'
import type { Store } from '../core/store.ts'
import { CLOSE } from './close-codes.ts'
import { createConfirmedPush } from './confirmed-push.ts'
import type { Connection } from './connection.ts'
import { createFollower } from './follower.ts'
import { createFrame } from './frame.ts'
import { FrameBudget } from './frame-budget.ts'
import type { Heartbeat } from './heartbeat.ts'
import type { Hub } from './hub.ts'
import { startFeed } from './maim-feed.ts'
import type { Answer, Hearer } from './maim-hearer.ts'
import type { DoorStats } from './maim-stats.ts'
import { withHints } from '../protocols/maim-target.ts'
import type { NoticeForm } from '../protocols/maim-telling.ts'
import type { Teller } from './maim-teller.ts'
import { isOwnMessage } from './serve.ts'

/** As much of a logger as is needed here. */
export interface LinkLog {
  readonly debug: (fields: object, words: string) => void
  readonly warn: (fields: object, words: string) => void
}

export interface LinkOptions {
  readonly accountId: number
  /** The name of the bot's place in the event log, as far as this link has told it. */
  readonly cursor: string
  /** What the link is called over there: `message_info.platform`. */
  readonly platform: string
  /** How what is no message is told. */
  readonly notices: NoticeForm
  /** Largest frame that the other side takes, in bytes. */
  readonly maxFrame: number
  /** Frames per second that are read. */
  readonly frameRate: number
  readonly teller: Teller
  readonly hearer: Hearer
  readonly stats: DoorStats
  readonly store: Pick<Store, 'openCursor' | 'saveCursor' | 'readEvents'>
  readonly hub: Hub
  readonly heartbeat: Heartbeat
  readonly log: LinkLog
  readonly onError: (err: unknown) => void
}

/** A link that we dial, over its connections. */
export interface MaimLink {
  /** Called when the connection is open. Gives back what to call when it is over, with its close code. */
  readonly open: (socket: WebSocket, connection: Connection, stream: Socket | undefined) => (code: number) => void
  /** Resolves when nothing is under way any more and the place in the log is stored. */
  readonly stop: () => Promise<void>
}

/** How often the other side may go away over one message until it is given up. */
const MAX_DEATHS = 5
/** Messages of the other side that may be worked on at a time; then its socket is not read. */
const MAX_PENDING = 256
/** What an envelope takes around its message. */
const ENVELOPE_BYTES = 1024

/**
 * A link to a server of the legacy protocol, such as a MaiBot core (contract 1, 5.1). It knows no acknowledgement, so pings
 * confirm what has arrived.
 */
export async function createLegacyLink(options: LinkOptions): Promise<MaimLink> {
  const { accountId, platform, maxFrame, frameRate, hearer, stats, log } = options

  async function encode(event: GatewayEvent): Promise<string | undefined> {
    const message = await tell(options, event, maxFrame)
    return message && encodeLegacy(message)
  }

  const push = await createConfirmedPush({
    ...options,
    wants: (event) => !isOwnMessage(event, accountId),
    encode,
    onSent: () => false,
    onPoison(eventId) {
      stats.dropped['too large']++
      log.warn({ event: eventId }, 'the other side went away each time it was told this event; it is left out')
    },
    maxDeaths: MAX_DEATHS
  })

  function open(socket: WebSocket, connection: Connection, stream: Socket | undefined): (code: number) => void {
    const budget = new FrameBudget(socket, frameRate)
    const answer = ({ name, content }: Answer): void => {
      stats.sent++
      connection.send(createFrame(encodeLegacy(createCustomMessage(platform, name, content))))
    }
    readLegacy({
      socket,
      onFrame: () => budget.take(),
      flow: budget,
      maxPending: MAX_PENDING,
      isOpen: () => connection.isOpen(),
      close: (reason) => connection.close(reason),
      async onMessage({ fields }) {
        stats.received++
        const { answers, undeliverable } = await hearer.hear(withHints(MessageBase.from(fields), fields), {
          key: undefined
        })
        if (undeliverable !== undefined) refuse(options, undeliverable)
        for (const one of answers) answer(one)
      },
      onCustomMessage: ({ message_type_name: name }) => log.debug({ name }, 'a custom message that means nothing here'),
      onUnreadable: (why) => log.debug({ why }, 'a frame was passed over'),
      onError: (err) => log.warn({ err }, 'a message of the other side could not be carried out')
    })
    return push.open(socket, connection, stream)
  }

  return { open, stop: push.settled }
}

export interface ApiLinkOptions extends LinkOptions {
  readonly apiKey: string
  /** The `x-uuid` of the link. */
  readonly uuid: string
  /** How long the other side may take to acknowledge until it is told again, in milliseconds. */
  readonly repeatMs: number
}

/** A link to an API-Server (contract 2): acknowledgements both ways; what is not acknowledged stays in the event log. */
export async function createApiLink(options: ApiLinkOptions): Promise<MaimLink> {
  const { accountId, platform, apiKey, uuid, maxFrame, frameRate, repeatMs, hearer, stats, log, onError } = options
  const { store, hub } = options
  const outbox = new Outbox({
    repeatMs: [repeatMs, repeatMs * 3, repeatMs * 9],
    // Who never acknowledges is no API-Server of the library, which does it before anything else.
    maxTriesUnheard: Infinity,
    onRepeat: () => void stats.repeats++
  })
  const seen = new Seen()
  const count = countIn(stats)
  const meta = (): object => ({ sender_user: apiKey, platform, timestamp: Date.now() / 1000 })
  let suspect = { msgId: '', deaths: 0 }

  async function encode(event: GatewayEvent): Promise<{ msgId: string; text: string } | undefined> {
    const message = await tell(options, event, maxFrame - ENVELOPE_BYTES)
    if (!message) return undefined
    stats.sent++
    const msgId = nameOf(options.cursor, event)
    const payload = APIMessageBase.toObject(MessageConverter.toApiReceive(message, { apiKey, platform }))
    return { msgId, text: encodeEnvelope('sys_std', msgId, meta(), payload) }
  }

  const follower = createFollower({
    store,
    hub,
    accountId,
    from: await store.openCursor(options.cursor),
    wants: (event) => !isOwnMessage(event, accountId),
    onError
  })
  const feed = startFeed({
    follower,
    encode,
    outbox,
    saveCursor: (eventId) => store.saveCursor(options.cursor, eventId),
    onError
  })

  async function onMessage({ envelope, key }: Received): Promise<AckNote> {
    if (envelope.type !== 'sys_std' || !isObject(envelope.payload)) return undefined
    const message = readSpeech(envelope.payload)
    if (message instanceof MessageError) {
      refuse(options, message.message)
      return { undeliverable: message.message }
    }
    const { answers, undeliverable } = await hearer.hear(message, { key: key && `${options.cursor} ${key}` })
    for (const { name, content } of answers) {
      const msgId = createMessageId('custom')
      outbox.add(msgId, encodeEnvelope(`custom_${name}`, msgId, meta(), content))
    }
    if (undeliverable === undefined) return undefined
    refuse(options, undeliverable)
    return { undeliverable }
  }

  /** The other side went away: over the same message again and again, it is given up (contract 6.5, 6.7). */
  function blame(code: number): void {
    const poison = code === TOO_BIG ? outbox.largest : outbox.oldest
    if (poison === undefined) return
    suspect = { msgId: poison, deaths: suspect.msgId === poison ? suspect.deaths + 1 : 1 }
    if (suspect.deaths < (code === TOO_BIG ? 1 : MAX_DEATHS)) return
    stats.dropped['too large']++
    log.warn({ message: poison }, 'the other side went away each time it was told this message; it is left out')
    outbox.drop(poison)
  }

  function open(socket: WebSocket, connection: Connection, stream: Socket | undefined): (code: number) => void {
    const budget = new FrameBudget(socket, frameRate)
    const acksBefore = stats.acksIn
    options.heartbeat.watch(socket, { stream })
    const session = new ApiSession({
      side: 'client',
      uuid,
      outbox,
      seen,
      count,
      onMessage,
      onPending(pending) {
        if (pending === MAX_PENDING) budget.hold()
        else if (pending === MAX_PENDING - 1) budget.release()
      },
      onError: (err) => log.warn({ err }, 'a message of the other side could not be carried out'),
      line: {
        send(text) {
          if (!connection.isOpen()) return false
          connection.send(createFrame(text))
          return true
        }
      }
    })
    socket.on('message', (data, isBinary) => {
      if (isBinary) return connection.close(CLOSE.binary)
      budget.take()
      session.receive(String(data))
    })
    return (code) => {
      session.close()
      // Who has acknowledged anything in this life did not die of what came first.
      if (stats.acksIn === acksBefore || code === TOO_BIG) blame(code)
    }
  }

  return {
    open,
    async stop() {
      await feed.stop()
      outbox.close()
    }
  }
}

/** "Message too big" (RFC 6455 §7.4.1). */
const TOO_BIG = 1009

/** What a brain says, or why it is no message. */
function readSpeech(payload: unknown): MessageBase | MessageError {
  try {
    return withHints(MessageConverter.fromApiSend(APIMessageBase.from(payload)), payload)
  } catch (err) {
    if (err instanceof MessageError) return err
    throw err
  }
}

/** The message for an event, which is left out when it cannot be told: one poison event must not stop all that follow. */
async function tell(
  { teller, platform, notices, stats, log }: LinkOptions,
  event: GatewayEvent,
  maxBytes: number
): Promise<MessageBase | undefined> {
  try {
    return await teller.tell(event, { platform, maxBytes, notices })
  } catch (err) {
    stats.dropped['not told']++
    log.warn({ err, event: event.id }, 'an event cannot be told over this link; it is left out')
    return undefined
  }
}

function refuse({ stats, log }: LinkOptions, why: string): void {
  stats.undeliverable++
  log.warn({ why }, 'what the other side said was not said in a chat')
}

/** The same at every try, also after a restart: receivers know it again by it. */
export function nameOf(road: string, { id, time }: GatewayEvent): string {
  const digest = createHash('sha256').update(`${road} ${id}`).digest('hex').slice(0, 12)
  return `msg_${digest}_${time}`
}

/** Counts what a session tells. */
export function countIn(stats: DoorStats): (what: SessionCount) => void {
  return (what) => {
    if (what === 'received') stats.received++
    else if (what === 'acked') stats.acksOut++
    else if (what === 'ack received') stats.acksIn++
    else if (what === 'duplicate') stats.duplicates++
  }
}
