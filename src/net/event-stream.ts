import type { ServerResponse } from 'node:http'

/** One live reader of Server-Sent Events (HTML Living Standard §9.2). Output is bounded, as that of a WebSocket is. */
export interface EventStream {
  /** `data` is JSON on one line. */
  readonly send: (message: { readonly event: string; readonly id: string; readonly data: string }) => void
  /** A line that means nothing, so that nobody on the way takes the connection for dead. A reader that takes nothing from one beat to the next is cut. */
  readonly beat: () => void
  /** Ends it in good order; a reader that does not take the rest is cut. */
  readonly end: () => void
  readonly isOpen: () => boolean
  /** Resolves when the reader has taken most of what was sent, or is gone. */
  readonly drained: () => Promise<void>
}

export interface EventStreamOptions {
  /** Nothing was written to it yet; it belongs to the stream from here on. */
  readonly response: ServerResponse
  readonly headers: Readonly<Record<string, string | number | string[] | undefined>>
  /** Unsent bytes at which the reader counts as slow. */
  readonly maxQueuedBytes: number
  /** Called once, just before a slow reader is cut. */
  readonly onSlow: () => void
  /** Called once, when nothing can be sent any more, whoever ended it. */
  readonly onClose: () => void
}

/** How long a reader may take for what was still to be sent when the stream ended. */
const END_GRACE_MS = 2000

export function openEventStream(options: EventStreamOptions): EventStream {
  const { response, headers, maxQueuedBytes, onSlow, onClose } = options
  let onDrained: (() => void)[] = []
  /** Writes that have not left yet. */
  let waiting = 0
  /** None of them has left since the last beat. */
  let isStuck = false

  const isOpen = (): boolean => !response.writableEnded && !response.destroyed

  function cut(): void {
    if (response.destroyed) return
    onSlow()
    response.destroy()
  }

  function release(): void {
    if (response.writableLength > maxQueuedBytes / 8 && isOpen()) return
    const resolvers = onDrained
    onDrained = []
    for (const resolve of resolvers) resolve()
  }

  function write(text: string): void {
    if (!isOpen()) return
    if (response.writableLength > maxQueuedBytes) return cut()
    waiting++
    response.write(text, () => {
      waiting--
      isStuck = false
      release()
    })
  }

  // Whoever goes may go in the middle of something that is being sent.
  response.on('error', () => response.destroy())
  response.once('close', () => {
    release()
    onClose()
  })
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no'
  })
  response.flushHeaders()

  return {
    isOpen,
    send: ({ event, id, data }) => write(`event: ${event}\nid: ${id}\ndata: ${escapeBreaks(data)}\n\n`),

    beat() {
      if (isStuck) return cut()
      isStuck = waiting > 0
      if (!isStuck) write(': \n\n')
    },

    end() {
      if (!isOpen()) return
      response.end()
      const timer = setTimeout(() => response.destroy(), END_GRACE_MS)
      timer.unref()
      response.once('close', () => clearTimeout(timer))
    },

    drained() {
      if (!isOpen() || response.writableLength <= maxQueuedBytes / 8) return Promise.resolve()
      return new Promise((resolve) => onDrained.push(resolve))
    }
  }
}

/** What is no end of a line here is one to the readers of lines that some languages have. */
function escapeBreaks(json: string): string {
  return json.replaceAll(/[\u0085\u2028\u2029]/g, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
