import type { LookupFunction } from 'node:net'
import { WebSocket, type ClientOptions } from 'ws'
import type { Call } from './dial.ts'

/** What came of a try to reach something: undefined when it answers as it should, else why not, in the words of who knows. */
export type Finding = string | undefined

export interface ProbeOptions {
  readonly lookup: LookupFunction
  readonly timeoutMs: number
}

/**
 * Asks whether a webhook receiver is there, without effect: OPTIONS is a safe method (RFC 9110 §9.2.1), which by its
 * meaning tells what an address takes and does nothing. A POST, even an empty one, might be taken for an event, and many
 * programs run the code of a page for HEAD. Whether the program likes our events is not found out.
 */
export async function probeWebhook({ url, headers }: Call, { lookup, timeoutMs }: ProbeOptions): Promise<Finding> {
  const { Agent, request } = await import('undici')
  const agent = new Agent({ connect: { timeout: timeoutMs, lookup } })
  try {
    const {
      statusCode,
      headers: answer,
      body
    } = await request(url, {
      method: 'OPTIONS',
      headers: { ...headers, 'user-agent': 'lactea doctor' },
      dispatcher: agent,
      signal: AbortSignal.timeout(timeoutMs)
    })
    await body.dump({ limit: 65_536 }).catch(() => {})
    return judgeWebhook(statusCode, String(answer['allow'] ?? ''), answer['location'])
  } catch (err) {
    return describeError(err)
  } finally {
    await agent.destroy()
  }
}

/** A receiver that knows no OPTIONS says so (405, 501), and has the address; one that names its methods should take POST. */
function judgeWebhook(status: number, allow: string, location: unknown): Finding {
  const takesPost = allow === '' || /\bPOST\b|\*/i.test(allow)
  if (status >= 200 && status < 300) return takesPost ? undefined : `it takes ${allow}, and answers 405 to POST`
  if (status === 405 || status === 501) return takesPost ? undefined : `it answered 405 and takes ${allow}`
  // What is in an empty request does not please it, but it is there.
  if (status === 400 || status === 411 || status === 415 || status === 422) return undefined
  return `it answered ${status}${typeof location === 'string' ? ` (to ${location.split('?', 1)[0]})` : ''}`
}

/** Opens a WebSocket and closes it again. Some servers let everybody in and close those whose token is wrong. */
export async function probeSocket(
  { url, headers }: Call,
  {
    lookup,
    timeoutMs,
    options = {},
    lingerMs = 500
  }: ProbeOptions & { readonly options?: ClientOptions; readonly lingerMs?: number }
): Promise<Finding> {
  const given = { handshakeTimeout: timeoutMs, perMessageDeflate: false, headers, lookup, ...options }
  const socket = new WebSocket(url, given as ClientOptions)
  let failure: string | undefined
  let timer: NodeJS.Timeout | undefined
  return new Promise((resolve) => {
    let isOurs = false
    socket.once('open', () => {
      timer = setTimeout(() => {
        isOurs = true
        socket.close(1000, 'lactea doctor')
        timer = setTimeout(() => socket.terminate(), 1000)
      }, lingerMs)
    })
    socket.once('unexpected-response', (_request, response) => {
      const { location } = response.headers
      failure = `it answered ${response.statusCode}${location === undefined ? '' : ` (to ${location.split('?', 1)[0]})`}`
      response.destroy()
      socket.terminate()
    })
    socket.on('error', (err) => {
      failure ??= describeError(err)
    })
    socket.once('close', (code, reason) => {
      clearTimeout(timer)
      if (failure !== undefined || isOurs) return resolve(failure)
      resolve(`it was closed by the other side at once: ${code} ${String(reason)}`.trim())
    })
  })
}

/** Some errors hide what happened behind another, or behind one for each address that was tried. */
function describeError(err: unknown): string {
  if (err instanceof AggregateError && err.errors.length > 0) return describeError(err.errors[0])
  const { message, code, name, cause } = err as NodeJS.ErrnoException & { cause?: unknown }
  if (name === 'TimeoutError') return 'it took more than the time for an answer'
  if (message === 'fetch failed' && cause !== undefined) return describeError(cause)
  return code !== undefined && !message.includes(code) ? `${message} (${code})`.trim() : message
}
