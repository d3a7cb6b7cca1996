import type { Test } from 'tap'
import {
  Seg,
  WebSocketClient,
  WebSocketServer,
  type APIMessageBase,
  type ClientOptions,
  type Logger,
  type ServerOptions
} from '../../sdk/src/index.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

/** What was logged, level before text. */
export interface TestLog extends Logger {
  readonly lines: string[]
}

export function createTestLog(): TestLog {
  const lines: string[] = []
  const at = (level: string) => (text: string) => void lines.push(`${level} ${text}`)
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export interface TestServer {
  readonly server: WebSocketServer
  readonly url: string
  readonly log: TestLog
  /** An open socket of this key and platform. */
  readonly dial: (apiKey?: string, platform?: string, uuid?: string) => Promise<TestSocket>
}

/** A server on a free port, stopped when the test ends. */
export async function startServer(t: Test, options: ServerOptions = {}): Promise<TestServer> {
  const log = createTestLog()
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, logger: log, logLevel: 'DEBUG', ...options })
  await server.start()
  t.teardown(() => server.stop())
  const url = server.address?.url ?? ''
  return {
    server,
    url,
    log,
    dial: (apiKey = 'key', platform = 'qq', uuid = '') =>
      openSocket(t, url, { headers: { 'x-apikey': apiKey, 'x-platform': platform, ...(uuid && { 'x-uuid': uuid }) } })
  }
}

/** A client that waits little between its tries, stopped when the test ends. */
export function createClient(t: Test, url: string, options: Partial<ClientOptions> = {}): WebSocketClient {
  const client = new WebSocketClient({
    url,
    apiKey: 'key',
    platform: 'qq',
    logger: createTestLog(),
    logLevel: 'DEBUG',
    reconnectDelay: 0.005,
    maxReconnectDelay: 0.02,
    ...options
  })
  t.teardown(() => client.stop())
  return client
}

/** A message for this key and platform. */
export function write(text: string, apiKey = 'key', platform = 'qq'): APIMessageBase {
  return {
    message_info: { platform, message_id: text, time: 1_750_000_000.5 },
    message_segment: Seg.text(text),
    message_dim: { api_key: apiKey, platform }
  }
}

/** The same in an envelope, as a client sends it. */
export function envelope(text: string, msgId: unknown = `msg_${text}`, apiKey = 'key', platform = 'qq'): object {
  return {
    ver: 1,
    msg_id: msgId,
    type: 'sys_std',
    meta: { sender_user: apiKey, platform, timestamp: 1 },
    payload: write(text, apiKey, platform)
  }
}

export const textOf = ({ message_segment }: APIMessageBase): string => Seg.textOf(message_segment)

export const isAck = ({ type }: { type: unknown }): boolean => type === 'sys_ack'
export const isMessage = ({ type }: { type: unknown }): boolean => type !== 'sys_ack'

/** What a hook was called with; `next` waits for the next call that was not taken. */
export function createCalls<Args extends unknown[]>(): {
  call: (...args: Args) => void
  next: () => Promise<Args>
  all: Args[]
} {
  const all: Args[] = []
  let taken = 0
  let wake = (): void => {}
  return {
    all,
    call(...args) {
      all.push(args)
      wake()
    },
    async next() {
      while (all.length <= taken) await new Promise<void>((resolve) => (wake = resolve))
      return all[taken++] as Args
    }
  }
}
