import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { idOf, personOf, sayTo } from '../plugins/people.ts'
import uploads from '../plugins/uploads.ts'
import type { Config } from '../src/config.ts'
import { ActionError } from '../src/core/errors.ts'
import type { StoredFile } from '../src/core/store.ts'
import type { Gateway } from '../src/gateway.ts'
import { namesTag, parseRange, toDisposition } from '../src/net/download.ts'
import { toErrorCode } from '../src/protocols/imsuite.ts'
import { toFile } from '../src/protocols/imsuite-files.ts'
import { toAnswer, toRefusal } from '../src/protocols/imsuite-rest.ts'

export interface ImSuiteFilesOptions {
  readonly gateway: Gateway
  readonly config: Config
}

/** Whatever a file holds, opened as a page it can do nothing and reach nobody. */
const POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"

/** Uploading and fetching files (IM-Suite contract 1.5, 2.4, 2.13). */
export async function imSuiteFiles(app: FastifyInstance, { gateway, config }: ImSuiteFilesOptions): Promise<void> {
  const { store, files, blobs, links } = gateway
  const { own, linked } = app.people
  await app.register(uploads, { maxBytes: config.limits.file_size })

  app.post('/api/files/upload', own, async (request, reply) => {
    const ownerId = personOf(request).account.id
    try {
      const file = await app.takeUpload(request, ownerId, ({ name, bytes }) => files.add({ ownerId, name, bytes }))
      return toAnswer(toFile(file, links.linkOf))
    } catch (err) {
      if (!(err instanceof ActionError) || err.reason !== 'too_large') throw err
      return reply.code(413).send(toRefusal(err.message, toErrorCode(err.reason), { field: 'file' }))
    }
  })

  app.get('/api/files/:id', own, async (request) =>
    toAnswer(toFile(await files.get(personOf(request).account.id, idOf(request)), links.linkOf))
  )

  app.delete('/api/files/:id', own, async (request) => {
    await files.remove(personOf(request).account.id, idOf(request))
    return { success: true, data: {} }
  })

  /** Who has a link needs nothing else; who shows a token must be in a chat where the file was sent. */
  async function authorize(request: FastifyRequest, reply: FastifyReply): Promise<StoredFile | undefined> {
    const id = idOf(request)
    const { exp, sig } = request.query as Record<string, unknown>
    if (typeof exp === 'string' && typeof sig === 'string') {
      // A file that was deleted, or went with its message, is gone for links too.
      const file = links.isValid(id, exp, sig) ? await store.findFile(id) : undefined
      if (file) return file
      if (!request.person) throw new ActionError('forbidden', 'the link is not valid, or not any more')
    }
    if (request.person) return files.get(request.person.account.id, id)
    await reply.code(401).send(toRefusal(sayTo(request, '认证令牌格式错误'), 'UNAUTHORIZED'))
    return undefined
  }

  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const file = await authorize(request, reply)
    if (!file) return reply
    const { sha256, size } = file
    const { headers, method } = request
    const tag = `"${sha256}"`
    reply.headers({
      etag: tag,
      'accept-ranges': 'bytes',
      'cache-control': 'private, max-age=86400, immutable',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff'
    })
    if (namesTag(headers['if-none-match'], tag)) return reply.code(304).send()
    const isCurrent = headers['if-range'] === undefined || headers['if-range'] === tag
    const part = isCurrent ? parseRange(headers.range, size) : undefined
    if (part === null)
      return reply
        .code(416)
        .header('content-range', `bytes */${size}`)
        .send(toRefusal('the file has no such part', 'VALIDATION_ERROR'))
    const range = part ?? { start: 0, end: size - 1 }
    const stream = method === 'HEAD' ? Readable.from([]) : await blobs.read(sha256, range)
    if (!stream) {
      gateway.log.error({ file: file.id, sha256 }, 'the bytes of a file are not on the disk')
      throw new ActionError('not_found', `file ${file.id} is lost`)
    }
    if (part) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${size}`)
    return reply
      .header('content-disposition', toDisposition(file))
      .header('content-length', range.end - range.start + 1)
      .type(file.mime)
      .send(stream)
  }

  app.get('/api/files/:id/download', linked, serve)
  app.get('/api/files/:id/preview', linked, serve)
  /** What links look like; the name is for people who read the address. */
  app.get('/api/files/:id/:name', linked, serve)
}
