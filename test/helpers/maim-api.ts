import type { Test } from 'tap'
import type { ClientOptions } from 'ws'
import { openSocket, type TestSocket } from './socket.ts'

/** Two adapters that only talk to each other, and a brain that hears what bot 10001 hears. */
export const maimKeys = [
  { api_key: 'key-one', account: 10001, chats: false },
  { api_key: 'key-two', account: 10002, chats: false },
  { api_key: 'key-brain', account: 10001 }
]

export interface ApiOptions {
  readonly key: string
  readonly platform?: string
  readonly uuid?: string
  readonly headers?: Record<string, string>
  readonly socket?: ClientOptions
}

/** A plain client of the API-Server protocol, which acknowledges nothing by itself. */
export function openApi(
  t: Test,
  ws: string,
  { key, platform = 'qq', uuid, headers = {}, socket = {} }: ApiOptions
): Promise<TestSocket> {
  const own = { 'x-apikey': key, 'x-platform': platform, ...(uuid !== undefined && { 'x-uuid': uuid }) }
  return openSocket(t, `${ws}/ws`, { ...socket, headers: { ...own, ...headers } })
}

/** A message for a key, from somebody. */
export function payloadFor(apiKey: string, platform: string, words: string, info: object = {}): any {
  return {
    message_info: {
      platform,
      message_id: `id of ${words}`,
      time: 1_750_000_000.5,
      sender_info: { user_info: { platform, user_id: 'somebody', user_nickname: 'Somebody' } },
      ...info
    },
    message_segment: { type: 'text', data: words },
    message_dim: { api_key: apiKey, platform }
  }
}

let count = 0

export function envelope(payload: unknown, more: object = {}): any {
  return {
    ver: 1,
    msg_id: `msg_${++count}`,
    type: 'sys_std',
    meta: { sender_user: 'key', platform: 'qq', timestamp: 1_750_000_000.25 },
    payload,
    ...more
  }
}

export function ackOf(frame: { readonly msg_id: unknown }): object {
  const meta = { uuid: 'u', acked_msg_id: frame.msg_id, timestamp: 1 }
  return { ver: 1, msg_id: 'an-ack', type: 'sys_ack', meta, payload: { status: 'received', client_timestamp: 1 } }
}

export const isAck = (frame: any): boolean => frame.type === 'sys_ack'
export const isMessage = (frame: any): boolean => frame.type !== 'sys_ack'

/** The next message, acknowledged. */
export async function take(client: TestSocket): Promise<any> {
  const frame = await client.find(isMessage)
  client.send(ackOf(frame))
  return frame
}

/** Sends it and gives its acknowledgement. */
export async function deliver(client: TestSocket, frame: any): Promise<any> {
  client.send(frame)
  return client.find(({ type, meta }) => type === 'sys_ack' && sameId(meta.acked_msg_id, frame.msg_id))
}

const sameId = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
