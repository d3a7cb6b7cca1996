import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { WebSocket } from 'ws'

/** Two bots, of which one speaks and one listens, in so many groups. */
export const PAIR = { speaker: 'token-of-the-speaker', listener: 'token-of-the-listener' }

/** `limits`: what is not as it is by default. */
export function pairConfig(groups: number, limits: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    limits: { http_rate: 10_000_000, ...limits },
    bots: [
      { id: 10001, access_token: PAIR.speaker },
      { id: 10002, access_token: PAIR.listener }
    ],
    provision: {
      groups: Array.from({ length: groups }, (_, index) => ({
        id: 100_001 + index,
        name: `Group ${index}`,
        owner: 10001,
        members: [10002]
      }))
    }
  }
}

export interface FloodOptions {
  /** `http://host:port` */
  readonly url: string
  readonly token: string
  readonly groups: number
  readonly count: number
  /** What is said; the number of the message when absent. */
  readonly wordsOf?: (index: number) => string
  readonly concurrency?: number
}

/** Says so many things in the groups in turn, as fast as they are taken. Rejects when one is not. */
export async function flood({
  url,
  token,
  groups,
  count,
  wordsOf = String,
  concurrency = 64
}: FloodOptions): Promise<void> {
  const pool = new Pool(url, { connections: concurrency })
  let next = 0
  async function talk(): Promise<void> {
    for (let index = next++; index < count; index = next++) {
      const { body } = await pool.request({
        method: 'POST',
        path: '/send_group_message',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          group_id: 100_001 + (index % groups),
          message: [{ type: 'text', data: { text: wordsOf(index) } }]
        })
      })
      const { status, message } = (await body.json()) as { status: string; message?: string }
      if (status !== 'ok') throw new Error(`message ${index}: ${message}`)
    }
  }
  try {
    await Promise.all(Array.from({ length: concurrency }, talk))
  } finally {
    await pool.destroy()
  }
}

/** A program that hears events and comes back with its cursor whenever it was cut off. */
export interface Reader {
  /** Messages that were heard. */
  readonly heard: () => number
  /** Messages of a chat that came too early, and that came again or too late. */
  readonly gaps: () => number
  readonly inversions: () => number
  /** How often it was let in, and how often it was told that something may be missing. */
  readonly connections: () => number
  readonly broken: () => number
  /** Headers of the last answer that let it in. */
  readonly answer: () => IncomingMessage['headers']
  /** Goes, and does not come back before `start`. */
  readonly stop: () => Promise<void>
  /** Resolves when it is let in. */
  readonly start: () => Promise<void>
}

export interface ReaderOptions {
  /** `ws://host:port`; asked for at each connection. */
  readonly url: () => string
  readonly token: string
  readonly since?: string
}

/** Begins with `start`; gone when the test ends. */
export function createReader(t: Test, { url, token, since = 'now' }: ReaderOptions): Reader {
  const lastSeqs = new Map<number, number>()
  const counts = { heard: 0, gaps: 0, inversions: 0, connections: 0, broken: 0 }
  let cursor = since
  let answer: IncomingMessage['headers'] = {}
  let socket: WebSocket | undefined
  let isStopped = true
  let onOpen = (): void => {}

  function take(text: string): void {
    const frame = JSON.parse(text) as { cursor: string; event_type: string; data: Record<string, number> }
    cursor = frame.cursor
    if (frame.event_type !== 'message_receive') return
    counts.heard++
    const { peer_id: chat = 0, message_seq: seq = 0 } = frame.data
    const last = lastSeqs.get(chat)
    if (last !== undefined && seq > last + 1) counts.gaps++
    if (last !== undefined && seq <= last) counts.inversions++
    lastSeqs.set(chat, seq)
  }

  function connect(): void {
    const dialled = new WebSocket(`${url()}/event?access_token=${token}&since=${cursor}`)
    socket = dialled
    dialled.on('error', () => {})
    dialled.on('upgrade', ({ headers }) => {
      answer = headers
      counts.connections++
      if (headers['lactea-resumed'] !== 'true') counts.broken++
      if (cursor === 'now') cursor = String(headers['lactea-cursor'])
    })
    dialled.on('open', () => onOpen())
    dialled.on('message', (data) => take(String(data)))
    dialled.once('close', () => !isStopped && setTimeout(connect, 20))
  }

  async function stop(): Promise<void> {
    isStopped = true
    if (!socket || socket.readyState === WebSocket.CLOSED) return
    const closed = once(socket, 'close')
    socket.terminate()
    await closed
  }
  t.teardown(stop)

  return {
    heard: () => counts.heard,
    gaps: () => counts.gaps,
    inversions: () => counts.inversions,
    connections: () => counts.connections,
    broken: () => counts.broken,
    answer: () => answer,
    stop,
    async start() {
      isStopped = false
      const opened = new Promise<void>((resolve) => (onOpen = resolve))
      connect()
      await opened
    }
  }
}
