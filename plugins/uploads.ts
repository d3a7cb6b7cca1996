import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import multipart from '@fastify/multipart'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ActionError } from '../src/core/errors.ts'

export interface Incoming {
  /** As the client calls it. */
  readonly name: string
  /** Without an end of its own: who takes them says when it is enough. */
  readonly bytes: AsyncIterable<Uint8Array>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The first file of a multipart form, as it comes in. One account has so many on their way, and no more. */
    takeUpload: <T>(request: FastifyRequest, accountId: number, use: (incoming: Incoming) => Promise<T>) => Promise<T>
  }
}

/** Uploads of one account at a time. */
const MAX_UPLOADS = 4
/** A client that sends nothing for so long is gone. */
const IDLE_MS = 30_000
/** How long a client that was refused may go on sending, so that it comes to read why. */
const LINGER_MS = 10_000
/** As much as a form is longer than the file in it. */
const FORM_BYTES = 64 * 1024

/** Uploads: bounded, never held in memory, and patient with whoever has a slow line and goes on sending. */
export default fp(async (app: FastifyInstance, { maxBytes }: { maxBytes: number }) => {
  const counts = new Map<number, number>()
  const receiving = new Set<Socket>()
  await app.register(multipart, {
    throwFileSizeLimit: false,
    // A file that is cut short ends only with its form, which may be never.
    limits: { fileSize: Infinity, files: 1, fields: 16, fieldSize: 1024, fieldNameSize: 100, headerPairs: 32 }
  })

  function enter(accountId: number): () => void {
    const count = counts.get(accountId) ?? 0
    if (count >= MAX_UPLOADS)
      throw new ActionError('rate_limited', `at most ${MAX_UPLOADS} uploads at a time`, { retryAfterMs: 1000 })
    counts.set(accountId, count + 1)
    return () => {
      const left = (counts.get(accountId) ?? 0) - 1
      if (left > 0) counts.set(accountId, left)
      else counts.delete(accountId)
    }
  }

  async function* follow(file: Readable, idle: NodeJS.Timeout): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of file) {
        idle.refresh()
        yield chunk as Uint8Array
      }
      // From here on it is our disk that takes its time.
      clearTimeout(idle)
    } catch (err) {
      throw toRefusal(err as Error)
    }
  }

  app.decorate('takeUpload', async (request, accountId, use) => {
    const { raw } = request
    const idle = setTimeout(() => raw.socket.destroy(), IDLE_MS)
    let leave = (): void => {}
    try {
      leave = enter(accountId)
      receiving.add(raw.socket)
      if (!request.isMultipart())
        throw new ActionError('invalid', 'file: expected a form (multipart/form-data) with a file', { field: 'file' })
      if (Number(request.headers['content-length'] ?? 0) > maxBytes + FORM_BYTES)
        throw new ActionError('too_large', `a file has at most ${maxBytes} bytes`, { field: 'file' })
      const part = await request.file().catch((err: Error) => Promise.reject(toRefusal(err)))
      if (!part) throw new ActionError('invalid', 'file: expected a file, it is missing', { field: 'file' })
      return await use({ name: part.filename, bytes: follow(part.file, idle) })
    } finally {
      leave()
      clearTimeout(idle)
      receiving.delete(raw.socket)
      if (!raw.complete) linger(request)
    }
  })

  // A request that takes longer than `requestTimeout` is cut, which is right for all but those that are sent steadily.
  const listeners = app.server.listeners('clientError')
  app.server.removeAllListeners('clientError')
  app.server.on('clientError', (err: NodeJS.ErrnoException, socket) => {
    if (err.code === 'ERR_HTTP_REQUEST_TIMEOUT' && receiving.has(socket as Socket)) return
    for (const listener of listeners) listener.call(app.server, err, socket)
  })
})

/** Whatever is wrong with a form is the client's mistake, or its line's. */
function toRefusal(err: Error): Error {
  if ('statusCode' in err) return err
  return new ActionError('invalid', `file: the form cannot be read (${err.message})`, { field: 'file' })
}

/** What is still coming is thrown away for a while; a client that is cut off at once may not have read the answer. */
function linger({ raw }: FastifyRequest): void {
  raw.resume()
  const cut = setTimeout(() => raw.socket.destroy(), LINGER_MS)
  cut.unref()
  raw.once('close', () => clearTimeout(cut))
}
