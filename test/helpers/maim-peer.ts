import type { Test } from 'tap'
import type { WebSocket } from 'ws'
import { ApiSession, encodeEnvelope, Outbox, type APIMessageBase, type Envelope } from '../../sdk/src/index.ts'
import { startDialer } from '../../sdk/src/dialer.ts'

export interface MaimPeerOptions {
  readonly url: string
  readonly apiKey: string
  readonly platform: string
  readonly uuid?: string
  /** The share of the acknowledgements that are lost on their way from here. */
  readonly lossOfAcks?: number
  /** Called for each message and each repeat of one. */
  readonly onEnvelope?: (envelope: Envelope, send: (envelope: Envelope) => void) => void
}

export interface MaimPeer {
  /** Sends until it is acknowledged, over as many connections as it takes. Resolves then. */
  readonly deliver: (msgId: string, message: APIMessageBase | object) => Promise<void>
  /** Cuts the connection; it is dialled again. */
  readonly kill: () => void
  readonly isOpen: () => boolean
  readonly opened: Promise<void>
  readonly stop: () => Promise<void>
}

/** A peer that speaks the API-Server protocol as a careful client should, on a bad line. */
export function openMaimPeer(t: Test, options: MaimPeerOptions): MaimPeer {
  const { url, apiKey, platform, uuid = `peer_${platform}`, lossOfAcks = 0, onEnvelope = () => {} } = options
  const outbox = new Outbox({ repeatMs: [100], maxTriesUnheard: Infinity })
  let live: WebSocket | undefined
  let onOpened = (): void => {}
  const opened = new Promise<void>((resolve) => (onOpened = resolve))

  const dialer = startDialer({
    url,
    socketOptions: { headers: { 'x-apikey': apiKey, 'x-platform': platform, 'x-uuid': uuid } },
    retry: { firstMs: 5, maxMs: 50 },
    onState: ({ state }) => state === 'open' && onOpened(),
    onOpen(socket) {
      live = socket
      const session = new ApiSession({
        side: 'client',
        uuid,
        outbox,
        line: {
          send(text) {
            if (socket.readyState !== socket.OPEN) return false
            const isLost = text.includes('"type":"sys_ack"') && Math.random() < lossOfAcks
            if (!isLost) socket.send(text)
            return true
          }
        },
        onMessage({ envelope }) {
          onEnvelope(envelope, (answer) => socket.send(JSON.stringify(answer)))
          return undefined
        },
        onError: (err) => t.error(err)
      })
      socket.on('message', (data) => session.receive(String(data)))
      return () => session.close()
    }
  })
  t.teardown(() => dialer.stop())

  return {
    deliver(msgId, message) {
      const meta = { sender_user: apiKey, platform, timestamp: Date.now() / 1000 }
      return new Promise((resolve) =>
        outbox.add(msgId, encodeEnvelope('sys_std', msgId, meta, message), () => resolve())
      )
    },
    kill: () => live?.terminate(),
    isOpen: () => live?.readyState === 1,
    opened,
    stop: () => dialer.stop()
  }
}

/** A message for a key, from somebody. */
export function messageFor(apiKey: string, platform: string, words: string): APIMessageBase {
  return {
    message_info: {
      platform,
      message_id: words,
      time: 1_750_000_000.5,
      sender_info: { user_info: { platform, user_id: 'somebody', user_nickname: 'Somebody' } }
    },
    message_segment: { type: 'text', data: words },
    message_dim: { api_key: apiKey, platform }
  }
}
