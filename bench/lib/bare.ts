import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'
import { answerParent } from './ipc.ts'

// The bare limits: the least that any gateway on the same library has to do. A process of its own, as the service.

/** Parses the JSON that came and answers what it was told to. */
async function serveHttp(answer: string): Promise<number> {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(answer) }
  return listen(
    createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        JSON.parse(Buffer.concat(chunks).toString('utf8'))
        response.writeHead(200, headers).end(answer)
      })
    })
  )
}

/** Answers each call with one `send`. */
function serveCalls(data: object): Promise<number> {
  return serveSockets((socket, frame) => {
    const { echo } = JSON.parse(String(frame)) as { echo: unknown }
    socket.send(
      JSON.stringify({ post_type: 'action_response', self_id: 10001, data: { status: 'ok', retcode: 0, data, echo } })
    )
  })
}

/** What one socket says goes to all others: stringified once, one `send` each. */
function serveFanOut(event: object): Promise<number> {
  let said = 0
  return serveSockets((socket, frame, all) => {
    JSON.parse(String(frame))
    const text = JSON.stringify({ ...event, said: said++ })
    for (const other of all) if (other !== socket) other.send(text)
  })
}

/** As it is usually done: for each socket the event is stringified anew. */
function serveFanOutNaively(event: object): Promise<number> {
  let said = 0
  return serveSockets((socket, frame, all) => {
    JSON.parse(String(frame))
    said++
    for (const other of all) if (other !== socket) other.send(JSON.stringify({ ...event, said }))
  })
}

/** The same in groups, which hear themselves too. Sockets say in their address which is theirs. */
function serveGroups(event: { payload: { message: object } }): Promise<number> {
  const groups = new Map<string, Set<WebSocket>>()
  const groupOf = new WeakMap<WebSocket, Set<WebSocket>>()
  return serveSockets(
    (socket, frame) => {
      const { content } = (JSON.parse(String(frame)) as { payload: { content: string } }).payload
      const text = JSON.stringify({
        ...event,
        payload: { ...event.payload, message: { ...event.payload.message, content } }
      })
      for (const member of groupOf.get(socket) ?? []) member.send(text)
    },
    (socket, url) => {
      const group = groups.get(url) ?? new Set()
      groups.set(url, group.add(socket))
      groupOf.set(socket, group)
    }
  )
}

/** Passes on each message to the socket that bears the name, and acknowledges it; one `send` each. */
function serveMaim(): Promise<number> {
  const sockets = new Map<string, WebSocket>()
  return serveSockets(
    (socket, frame) => {
      const envelope = JSON.parse(String(frame)) as Envelope
      if (envelope.type === 'sys_ack') return
      const { platform } = envelope.payload.message_dim
      const meta = { sender_user: 'server', target_user: 'somebody', platform, timestamp: Date.now() / 1000 }
      sockets.get(platform)?.send(JSON.stringify({ ...envelope, meta }))
      const ack = { uuid: 'uuid', acked_msg_id: envelope.msg_id, timestamp: meta.timestamp }
      const payload = { status: 'received', server_timestamp: meta.timestamp }
      socket.send(JSON.stringify({ ver: 1, msg_id: randomUUID(), type: 'sys_ack', meta: ack, payload }))
    },
    (socket, url) => sockets.set(new URL(url, 'ws://host').searchParams.get('platform') ?? '', socket)
  )
}

interface Envelope {
  readonly type: string
  readonly msg_id: unknown
  readonly payload: { readonly message_dim: { readonly platform: string } }
}

async function serveSockets(
  onFrame: (socket: WebSocket, frame: RawData, all: Set<WebSocket>) => void,
  onOpen = (_socket: WebSocket, _url: string): void => {}
): Promise<number> {
  const server = createServer()
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  sockets.on('connection', (socket, { url = '' }) => {
    onOpen(socket, url)
    socket.on('error', () => {})
    socket.on('message', (frame) => onFrame(socket, frame, sockets.clients))
  })
  return listen(server)
}

/** Posts to all addresses over as many connections as the service uses, for some seconds. */
async function post({ urls, body, connections, seconds }: Posting): Promise<number> {
  const deadline = performance.now() + seconds * 1000
  let count = 0
  const pools = urls.map((url) => ({ url: new URL(url), pool: new Pool(new URL(url).origin, { connections }) }))
  const headers = { 'content-type': 'application/json; charset=utf-8' }

  async function keepPosting({ url, pool }: (typeof pools)[number]): Promise<void> {
    while (performance.now() < deadline) {
      const { body: answer } = await pool.request({ method: 'POST', path: url.pathname, headers, body })
      await answer.dump()
      count++
    }
  }

  await Promise.all(pools.flatMap((entry) => Array.from({ length: connections }, () => keepPosting(entry))))
  await Promise.all(pools.map(({ pool }) => pool.close()))
  return count
}

/** As it is usually done: an event is stringified and fetched for each address, which all of them have to take before the next. */
async function postNaively({ urls, body, seconds }: Posting): Promise<number> {
  const deadline = performance.now() + seconds * 1000
  const event = JSON.parse(body) as object
  let count = 0

  async function postOne(url: string): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(event) })
    await response.text()
    count++
  }

  async function keepPosting(): Promise<void> {
    while (performance.now() < deadline) await Promise.all(urls.map(postOne))
  }

  await Promise.all(Array.from({ length: NAIVE_EVENTS }, keepPosting))
  return count
}

/** Events that are posted at the same time. */
const NAIVE_EVENTS = 8

export interface Posting {
  readonly urls: readonly string[]
  readonly body: string
  /** Per address. */
  readonly connections: number
  readonly seconds: number
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

answerParent({ serveHttp, serveCalls, serveFanOut, serveFanOutNaively, serveGroups, serveMaim, post, postNaively })
process.channel?.ref()
