import type { LookupFunction } from 'node:net'
import type { Dispatcher } from 'undici'

export interface PosterOptions {
  readonly url: string
  /** Open at the same time. */
  readonly connections: number
  /** For one request, from asking for it to the last byte of the answer. */
  readonly timeoutMs: number
  readonly lookup: LookupFunction | undefined
  /** Bytes of an answer that are read, by its status; what is longer is cut off there. */
  readonly maxAnswer: (status: number) => number
}

export interface PostAnswer {
  readonly status: number
  readonly retryAfter: string | undefined
  /** What was read of it. */
  readonly body: Buffer
  /** There is no more of it. */
  readonly isWhole: boolean
}

/** Posts to one address, over connections that are kept. */
export interface Poster {
  /**
   * The status is the answer: a body that breaks off, or does not end in time, does not take it back. Rejects when there was
   * none in time, and with the reason of the signal, which is the same for all posts, when that has ended it.
   */
  readonly post: (headers: readonly string[], body: string, signal: AbortSignal) => Promise<PostAnswer>
  readonly close: () => Promise<void>
}

/**
 * One timer and one listener for all that is under way, and nothing of a stream for answers that are hardly ever more than a
 * status: with as many as there are, these cost as much as the request itself.
 */
export async function openPoster(options: PosterOptions): Promise<Poster> {
  const { connections, timeoutMs, lookup, maxAnswer } = options
  // Loaded when there is somebody to post to: who starts the gateway should not wait for it.
  const { Pool } = await import('undici')
  const url = new URL(options.url)
  const pool = new Pool(url.origin, { connections, pipelining: 1, connect: { timeout: timeoutMs, lookup } })
  const path = url.pathname + url.search
  /** Posts under way, and places that are free again. No set: see `docs/performance.md`, "What garbage costs". */
  const underWay: (Post | undefined)[] = []
  const free: number[] = []
  let timer: NodeJS.Timeout | undefined
  let watched: AbortSignal | undefined

  function watch(signal: AbortSignal): void {
    watched = signal
    signal.addEventListener('abort', () => {
      for (const post of underWay) post?.cut(signal.reason as Error)
    })
  }

  function wait(until: number): void {
    timer = setTimeout(cutLate, Math.max(1, until - performance.now()))
    timer.unref()
  }

  function cutLate(): void {
    timer = undefined
    const now = performance.now()
    let next = Infinity
    for (const post of underWay) {
      if (!post) continue
      if (post.endsAt <= now) post.cut(new Error(`it took more than ${timeoutMs} ms`))
      else next = Math.min(next, post.endsAt)
    }
    if (next < Infinity) wait(next)
  }

  return {
    post(headers, body, signal) {
      if (signal !== watched) watch(signal)
      return new Promise((resolve, reject) => {
        const place = free.pop() ?? underWay.length
        const post = new Post({
          endsAt: performance.now() + timeoutMs,
          maxAnswer,
          onEnd(end) {
            if (underWay[place] !== post) return
            underWay[place] = undefined
            free.push(place)
            if ('answer' in end) resolve(end.answer)
            else reject(end.err)
          }
        })
        underWay[place] = post
        if (signal.aborted) return post.cut(signal.reason as Error)
        if (!timer) wait(post.endsAt)
        // The deadline is ours, over the whole of it.
        pool.dispatch(
          { method: 'POST', path, headers: headers as string[], body, headersTimeout: 0, bodyTimeout: 0 },
          post
        )
      })
    },
    async close() {
      clearTimeout(timer)
      await pool.destroy()
    }
  }
}

interface PostOptions {
  readonly endsAt: number
  readonly maxAnswer: (status: number) => number
  readonly onEnd: (end: { readonly answer: PostAnswer } | { readonly err: Error }) => void
}

/** A class, since undici calls its methods by their names on one object per request. */
class Post implements Dispatcher.DispatchHandler {
  readonly endsAt: number
  readonly #options: PostOptions
  #controller: Dispatcher.DispatchController | undefined
  #cutBy: Error | undefined
  #status: number | undefined
  #retryAfter: string | undefined
  #chunks: Buffer[] = []
  #size = 0

  constructor(options: PostOptions) {
    this.endsAt = options.endsAt
    this.#options = options
  }

  cut(reason: Error): void {
    this.#cutBy = reason
    // It may not have a connection yet, and then ends as soon as it gets one.
    if (this.#controller) this.#controller.abort(reason)
    else this.#options.onEnd({ err: reason })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#cutBy) controller.abort(this.#cutBy)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>
  ): void {
    // What comes before the answer (RFC 9110 §15.2).
    if (status < 200) return
    this.#status = status
    this.#retryAfter = [headers['retry-after']].flat()[0]
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size > this.#options.maxAnswer(this.#status ?? 0)) controller.abort(new Error('the answer is too long'))
  }

  onResponseEnd(): void {
    this.#end(true)
  }

  onResponseError(_controller: Dispatcher.DispatchController, err: Error): void {
    if (this.#status !== undefined) this.#end(false)
    else this.#options.onEnd({ err: this.#cutBy ?? err })
  }

  #end(isWhole: boolean): void {
    const [first = Buffer.alloc(0)] = this.#chunks
    const body = this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : first
    this.#options.onEnd({ answer: { status: this.#status ?? 0, retryAfter: this.#retryAfter, body, isWhole } })
  }
}
