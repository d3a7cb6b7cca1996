import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { link, mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createSocketServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import { createFiles } from '../../src/core/files.ts'
import type { Delivery } from '../../src/core/intake.ts'
import type { StoredFile } from '../../src/core/store.ts'
import { openBlobs } from '../../src/files/blobs.ts'
import { createFolders } from '../../src/files/folders.ts'
import { createIntake, type StoppableIntake } from '../../src/files/intake.ts'
import { createFetcher } from '../../src/net/fetcher.ts'
import { createGuard, type Resolve } from '../../src/net/guard.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { createTestClock, type TestClock } from '../helpers/clock.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { pdf, png, wav } from '../helpers/pictures.ts'

const BOT = 10001
const OTHER = 10002
const PICTURE = png(30, 20)
const MAX_BYTES = 10_000

interface Stage {
  readonly intake: StoppableIntake
  readonly take: (uri: string, rest?: Partial<Delivery>) => Promise<StoredFile>
  /** The reason and the sentence of the refusal. */
  readonly refusal: (uri: string, rest?: Partial<Delivery>) => Promise<string>
  readonly clock: TestClock
  /** Contents and what is on its way, on the disk. */
  readonly left: () => Promise<string[]>
  /** An open folder, and one that is not. */
  readonly folder: string
  readonly closed: string
  readonly dataDir: string
}

interface StageOptions {
  readonly allowedNetworks?: readonly string[]
  readonly resolve?: Resolve
  /** Further folders that are open. */
  readonly folders?: readonly string[]
}

async function openStage(t: Test, options: StageOptions = {}): Promise<Stage> {
  const { allowedNetworks = ['127.0.0.1'], resolve, folders = [] } = options
  const dir = makeDirectory(t)
  const [dataDir, folder, closed] = ['data', 'open', 'closed'].map((name) => join(dir, name)) as [
    string,
    string,
    string
  ]
  for (const path of [dataDir, folder, closed]) await mkdir(path)
  const store = await openSqliteStore({ path: ':memory:' })
  t.teardown(() => store.close())
  for (const id of [BOT, OTHER]) await store.addAccount({ id, kind: 'bot', nickname: 'Bot', createdAt: 1 })
  const clock = createTestClock()
  const blobs = join(dataDir, 'files')
  const files = createFiles({
    store,
    blobs: await openBlobs(blobs),
    now: clock.now,
    maxBytes: MAX_BYTES,
    onError: (err) => t.error(err)
  })
  const guard = createGuard({ allowedNetworks, ...(resolve && { resolve }) })
  const intake = createIntake({
    files,
    web: createFetcher({ guard, maxBytes: MAX_BYTES }),
    disk: createFolders({ folders: [folder, join(dir, 'missing'), ...folders], dataDir, maxBytes: MAX_BYTES }),
    maxBytes: MAX_BYTES,
    timeoutMs: 20_000,
    clock
  })
  const take: Stage['take'] = (uri, rest) =>
    intake.take({ ownerId: BOT, uri, field: 'message', kind: 'image', ...rest })
  return {
    intake,
    take,
    refusal: (uri, rest) =>
      take(uri, rest).then(
        () => 'taken',
        (err: unknown) => (err instanceof ActionError ? `${err.reason}: ${err.message}` : String(err))
      ),
    clock,
    left: async () =>
      (await readdir(blobs, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(({ name }) => name),
    folder,
    closed,
    dataDir
  }
}

interface Web {
  readonly url: string
  /** Addresses that were asked for. */
  readonly asked: string[]
  readonly headers: IncomingMessage['headers'][]
  /** Resolves when the server has so many connections open. */
  readonly connections: (count: number) => Promise<void>
}

async function startWeb(t: Test, listener: RequestListener): Promise<Web> {
  const sockets = new Set<Socket>()
  const [asked, headers]: [string[], IncomingMessage['headers'][]] = [[], []]
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    headers.push(request.headers)
    listener(request, response)
  })
  server.keepAliveTimeout = 600_000
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      server.emit('change')
    })
  })
  server.on('request', () => server.emit('change'))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    headers,
    async connections(count) {
      while (sockets.size !== count) await once(server, 'change')
    }
  }
}

/** A server that answers everything with exactly these bytes, and then closes or not. */
async function startRaw(t: Test, text: string | Buffer, closes = true): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createSocketServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(text)
      if (closes) socket.end()
    })
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const send = (response: ServerResponse, bytes: Buffer, headers: Record<string, string | number> = {}): void => {
  response.writeHead(200, headers)
  response.end(bytes)
}

t.test('base64', async (t) => {
  const text = PICTURE.toString('base64')

  t.test('is taken in every spelling that means the same', async (t) => {
    const { take } = await openStage(t)
    const { sha256 } = await take(`base64://${text}`)
    for (const spelling of [
      `BASE64://${text}`,
      `base64://${text.replace(/=+$/, '')}`,
      `base64://${PICTURE.toString('base64url')}`,
      `base64://${text.match(/.{1,76}/g)?.join('\r\n')}\n`,
      `base64:// ${text} `
    ])
      t.match(await take(spelling), { sha256, name: 'image.png', size: PICTURE.length }, spelling.slice(0, 20))
  })

  t.test('is put together again from its pieces', async (t) => {
    const { take } = await openStage(t)
    const bytes = png(300, 300, 7)
    const long = Buffer.concat([bytes, Buffer.alloc(MAX_BYTES - bytes.length, 1)])
    t.match(await take(`base64://${long.toString('base64')}`), { size: MAX_BYTES })
  })

  t.test('is refused when it is none, and before it is decoded when it is too long', async (t) => {
    const { refusal, left } = await openStage(t)
    const none = 'invalid: message: expected base64 after base64://'
    const rows: [text: string, said: string][] = [
      ['', none],
      ['=', none],
      ['A', none],
      ['AAAAA', none],
      ['AAA*', none],
      ['AA=A', none],
      ['A===', none],
      [
        `data:image/png;base64,${text}`,
        'invalid: message: expected only base64 after base64://, without data:…;base64,'
      ],
      [Buffer.alloc(MAX_BYTES + 1).toString('base64'), 'too_large: message: a file has at most 10000 bytes'],
      [`${'A'.repeat(40_000)}*`, 'too_large: message: a file has at most 10000 bytes'],
      [pdf().toString('base64'), 'invalid: message: a file of type application/pdf cannot be sent as image']
    ]
    for (const [given, said] of rows) t.equal(await refusal(`base64://${given}`), said, given.slice(0, 20))
    t.strictSame(await left(), [])
  })
})

t.test('other addresses are refused in a sentence that says what is taken', async (t) => {
  const { refusal } = await openStage(t)
  const said = 'invalid: image_uri: expected http://, https://, file:/// or base64://'
  for (const uri of [
    'cat.png',
    '',
    '/etc/passwd',
    'ftp://a.example/x',
    'constructor:x',
    'javascript:1',
    'http://',
    'x'.repeat(9000)
  ])
    t.equal(await refusal(uri, { field: 'image_uri' }), said, uri.slice(0, 20))
  t.equal(await refusal(`http://127.0.0.1/${'x'.repeat(9000)}`, { field: 'image_uri' }), said)
  t.equal(
    await refusal('data:image/png;base64,AAAA', { field: 'image_uri' }),
    `${said} and after it only what follows the comma`
  )
})

t.test('http', async (t) => {
  t.test('what lies there is kept, under the name that it has there', async (t) => {
    const web = await startWeb(t, (_request, response) => send(response, PICTURE, { 'content-type': 'text/html' }))
    const { take } = await openStage(t)
    t.match(await take(`${web.url}/a/my%20cat.png?token=secret#part`), {
      ownerId: BOT,
      name: 'my cat.png',
      mime: 'image/png',
      size: PICTURE.length,
      width: 30,
      height: 20
    })
    t.match(await take(`${web.url}/a/`), { name: 'image.png' })
    t.match(await take(`${web.url}/%E0%A4%A`), { name: '%E0%A4%A' })
    t.match(await take(`${web.url}/a.png`, { name: 'dog.png' }), { name: 'dog.png' })
    t.equal(web.asked[0], '/a/my%20cat.png?token=secret')
    t.strictSame(web.headers[0], {
      host: web.url.slice('http://'.length),
      connection: 'keep-alive',
      'user-agent': 'lactea',
      accept: '*/*',
      'accept-encoding': 'identity'
    })
    await web.connections(0)
  })

  t.test('no proxy of the environment is asked', async (t) => {
    const proxy = await startWeb(t, (_request, response) => send(response, PICTURE))
    const web = await startWeb(t, (_request, response) => send(response, PICTURE))
    for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY']) process.env[name] = proxy.url
    t.teardown(() => {
      for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY']) delete process.env[name]
    })
    const { take } = await openStage(t)
    await take(web.url)
    t.strictSame(proxy.asked, [])
  })

  t.test('redirects are followed for a few steps, each guarded anew', async (t) => {
    const { port: closedPort, count } = await startCounter(t)
    const places: Record<string, string> = {
      '/one': '/two',
      '/two': '../three?x=1',
      '/three?x=1': '/cat.png',
      '/four': '/one',
      '/round': '/round',
      '/metadata': 'http://169.254.169.254/latest/meta-data/',
      '/loopback': `http://127.0.0.2:${closedPort}/`,
      '/decimal': `http://2130706434:${closedPort}/`,
      '/file': 'file:///etc/passwd',
      '/user': 'http://me:secret@127.0.0.1/',
      '/nowhere': ''
    }
    const web = await startWeb(t, (request, response) => {
      const location = places[request.url ?? '']
      if (location === undefined) return send(response, PICTURE)
      response.writeHead(302, location === '' ? {} : { location })
      return response.end('moved')
    })
    const { take, refusal, left } = await openStage(t)
    t.match(await take(`${web.url}/one`), { size: PICTURE.length, name: 'one' })
    t.strictSame(web.asked, ['/one', '/two', '/three?x=1', '/cat.png'])
    const before = await left()
    const rows: [path: string, said: RegExp][] = [
      ['/four', /^unavailable: message: 127\.0\.0\.1:\d+ redirects more than 3 times$/],
      ['/round', /^unavailable: .* redirects more than 3 times$/],
      ['/metadata', /^not_found: message: 169\.254\.169\.254 does not exist, or is in a network/],
      ['/loopback', /^not_found: message: 127\.0\.0\.2 does not exist, or is in a network/],
      ['/decimal', /^not_found: message: 127\.0\.0\.2 does not exist, or is in a network/],
      ['/file', /^not_found: .* redirects to something that is no http address$/],
      ['/user', /^invalid: message: expected an address without user and password$/],
      ['/nowhere', /^unavailable: .* answered with status 302$/]
    ]
    for (const [path, said] of rows) t.match(await refusal(web.url + path), said, path)
    t.equal(count(), 0)
    t.strictSame(await left(), before)
    await web.connections(0)
  })

  t.test('a name that leads elsewhere when it is asked for again leads nowhere', async (t) => {
    const web = await startWeb(t, (_request, response) => response.writeHead(302, { location: '/again' }).end())
    const { port } = new URL(web.url)
    const { port: closedPort, count } = await startCounter(t)
    let asked = 0
    const resolve: Resolve = async () => [{ address: asked++ === 0 ? '127.0.0.1' : '127.0.0.2', family: 4 }]
    const stage = await openStage(t, { resolve })
    // The same name, first where it is open and then where it is not.
    t.match(
      await stage.refusal(`http://rebinding.example:${port}/`),
      /^not_found: message: rebinding\.example does not exist/
    )
    t.equal(asked, 2, 'once for each step, and not once more for the connection')
    t.match(await stage.refusal(`http://rebinding.example:${closedPort}/`), /^not_found: /)
    t.strictSame(web.asked, ['/'])
    t.equal(web.headers[0]?.host, `rebinding.example:${port}`)
    t.equal(count(), 0)
  })

  t.test('a status that is no success is told, and nothing else of the address', async (t) => {
    const web = await startWeb(t, (request, response) => response.writeHead(Number(request.url?.slice(1, 4))).end('no'))
    const { refusal, left } = await openStage(t)
    const rows: [status: number, reason: string][] = [
      [304, 'unavailable'],
      [401, 'not_found'],
      [403, 'not_found'],
      [404, 'not_found'],
      [410, 'not_found'],
      [408, 'unavailable'],
      [429, 'unavailable'],
      [500, 'unavailable'],
      [503, 'unavailable']
    ]
    for (const [status, reason] of rows) {
      const { host } = new URL(web.url)
      const said = `${reason}: message: ${host} answered with status ${status}`
      t.equal(await refusal(`${web.url}/${status}/path?token=secret`), said)
    }
    t.strictSame(await left(), [])
    await web.connections(0)
  })

  t.test('what is too large is refused, whether the server says so or not', async (t) => {
    let sent = 0
    const web = await startWeb(t, (request, response) => {
      if (request.url === '/said') {
        response.writeHead(200, { 'content-length': 10 ** 12 })
        response.write('x')
        return
      }
      // Endless.
      const more = (): void => {
        if (response.destroyed) return
        sent += 1000
        if (response.write(Buffer.alloc(1000, 1))) setImmediate(more)
        else response.once('drain', more)
      }
      more()
    })
    const { refusal, left } = await openStage(t)
    for (const path of ['/said', '/endless'])
      t.equal(await refusal(web.url + path), 'too_large: message: a file has at most 10000 bytes', path)
    t.ok(sent > MAX_BYTES)
    t.strictSame(await left(), [])
    await web.connections(0)
  })

  t.test('servers that do not do as they say', async (t) => {
    const { refusal, left } = await openStage(t)
    const rows: [label: string, answer: string, said: RegExp][] = [
      [
        'too short',
        'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort',
        /^unavailable: .* nothing can be fetched from/
      ],
      ['cut off', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nshort', /^unavailable: /],
      ['nonsense', 'SSH-2.0-OpenSSH_9.6\r\n', /^unavailable: /],
      ['nothing', '', /^unavailable: /],
      ['empty', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', /^invalid: the file is empty$/],
      ['large head', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, /^unavailable: /],
      [
        'compressed',
        'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx',
        /^unavailable: .* compressed/
      ]
    ]
    for (const [label, answer, said] of rows) t.match(await refusal(await startRaw(t, answer)), said, label)
    t.strictSame(await left(), [])
  })

  t.test('an address where nobody listens is told as such', async (t) => {
    const server = createSocketServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const { refusal } = await openStage(t)
    t.equal(
      await refusal(`http://127.0.0.1:${port}/x?token=secret`),
      `unavailable: message: nothing can be fetched from 127.0.0.1:${port} now (ECONNREFUSED)`
    )
    t.match(await refusal(`https://127.0.0.1:${port}/`), /^unavailable: /)
  })

  t.test('who is slow is given up, and nothing stays open', async (t) => {
    const late = 'unavailable: message: it took more than 20 s to fetch'
    const slow: [label: string, listener: RequestListener][] = [
      ['says nothing', () => {}],
      [
        'says little',
        (_request, response) => {
          response.writeHead(200)
          response.write(PICTURE.subarray(0, 10))
        }
      ],
      [
        'redirects, and then says nothing',
        (request, response) => {
          if (request.url === '/') response.writeHead(302, { location: '/next' }).end()
        }
      ]
    ]
    for (const [label, listener] of slow) {
      const stage = await openStage(t)
      const stalled = Promise.withResolvers<void>()
      const web = await startWeb(t, (request, response) => {
        listener(request, response)
        if (!response.writableEnded) stalled.resolve()
      })
      const refused = stage.refusal(web.url)
      await stalled.promise
      stage.clock.advance(19_999)
      await web.connections(1)
      stage.clock.advance(1)
      t.equal(await refused, late, label)
      await web.connections(0)
      t.strictSame(await stage.left(), [])
      t.equal(stage.clock.waiting(), 0)
    }
  })

  t.test('all that one call hands over has one deadline', async (t) => {
    const stage = await openStage(t)
    const asked = Promise.withResolvers<void>()
    const web = await startWeb(t, (request, response) => {
      if (request.url === '/quick') send(response, PICTURE)
      else asked.resolve()
    })
    const take = stage.intake.begin()
    const delivery = { ownerId: BOT, field: 'message', kind: 'image' } as const
    t.match(await take({ ...delivery, uri: `${web.url}/quick` }), { name: 'quick' })
    stage.clock.advance(15_000)
    const slow = take({ ...delivery, uri: `${web.url}/slow` })
    await asked.promise
    stage.clock.advance(5000)
    await t.rejects(slow, new ActionError('unavailable', ''))
    await web.connections(0)
  })

  t.test('few at a time, and no bot takes all the places', async (t) => {
    const stage = await openStage(t)
    const waiting: ServerResponse[] = []
    const news = Promise.withResolvers<void>()
    const web = await startWeb(t, (_request, response) => {
      waiting.push(response)
      if (waiting.length === 5) news.resolve()
    })
    const taken = Array.from({ length: 20 }, (_, index) => stage.take(`${web.url}/${index}`))
    t.equal(await stage.refusal(`${web.url}/20`), 'rate_limited: at most 20 files are fetched for one bot at a time')
    const other = stage.take(`${web.url}/other`, { ownerId: OTHER })
    await news.promise
    t.strictSame(web.asked.toSorted(), ['/0', '/1', '/2', '/3', '/other'])
    const answered = setInterval(() => {
      for (const response of waiting.splice(0)) send(response, PICTURE)
    }, 1)
    t.teardown(() => clearInterval(answered))
    await Promise.all([...taken, other])
    t.equal(web.asked.length, 21)
    await web.connections(0)
  })

  t.test('what waits for its turn has a deadline too', async (t) => {
    const stage = await openStage(t)
    const full = Promise.withResolvers<void>()
    const web = await startWeb(t, () => web.asked.length === 4 && full.resolve())
    const refused = Array.from({ length: 6 }, (_, index) => stage.refusal(`${web.url}/${index}`))
    await full.promise
    stage.clock.advance(20_000)
    for (const said of await Promise.all(refused)) t.match(said, /^unavailable: message: it took more than 20 s/)
    t.equal(web.asked.length, 4)
    await web.connections(0)
  })

  t.test('a gateway that stops waits a little and no longer', async (t) => {
    const stage = await openStage(t)
    const asked = Promise.withResolvers<void>()
    const web = await startWeb(t, () => asked.resolve())
    const refused = stage.refusal(web.url)
    await asked.promise
    stage.intake.stop()
    stage.clock.advance(5000)
    t.equal(await refused, 'unavailable: the gateway is stopping, try again later')
    await web.connections(0)
  })
})

t.test('file', async (t) => {
  const refused = 'not_found: message: there is no such file in the folders that media.folders opens'

  t.test('what lies below an open folder is kept, under its own name', async (t) => {
    const { take, folder, dataDir } = await openStage(t)
    const media = join(dataDir, 'media')
    for (const path of [join(folder, 'deep'), media]) await mkdir(path)
    const names = [join(folder, 'cat.png'), join(folder, 'deep', 'my #1 cat? 100%.png'), join(media, '猫.png')]
    for (const path of names) {
      await writeFile(path, PICTURE)
      t.match(
        await take(pathToFileURL(path).href),
        { name: path.split('/').at(-1), mime: 'image/png', width: 30 },
        path
      )
    }
    const [path = ''] = names
    for (const uri of [`file://localhost${path}`, `FILE://${path}`, `file://${folder}/deep/../cat.png`, `file:${path}`])
      t.match(await take(uri), { name: 'cat.png' }, uri)
    t.match(await take(`file://${media}/猫.png`, { name: 'dog.png' }), { name: 'dog.png' })
  })

  t.test('links are followed where they stay inside', async (t) => {
    const { take, folder } = await openStage(t)
    await writeFile(join(folder, 'cat.png'), PICTURE)
    await symlink('cat.png', join(folder, 'link.png'))
    t.match(await take(`file://${folder}/link.png`), { name: 'link.png' })
  })

  t.test('all else is refused in one sentence, whether it exists or not', async (t) => {
    const { refusal, folder, closed, dataDir, left } = await openStage(t)
    await writeFile(join(closed, 'cat.png'), PICTURE)
    await writeFile(join(dataDir, 'jwt.secret'), PICTURE)
    await writeFile(`${folder}-beside.png`, PICTURE)
    await symlink(join(closed, 'cat.png'), join(folder, 'out.png'))
    await symlink(closed, join(folder, 'out'))
    await symlink('loop.png', join(folder, 'loop.png'))
    execFileSync('mkfifo', [join(folder, 'pipe.png')])
    const socket = createSocketServer()
    await new Promise<void>((resolve) => socket.listen(join(folder, 'socket.png'), resolve))
    t.teardown(() => socket.close())
    const paths = [
      join(folder, 'missing.png'),
      folder,
      `${folder}/`,
      join(closed, 'cat.png'),
      join(closed, 'missing.png'),
      join(folder, 'out.png'),
      join(folder, 'out', 'cat.png'),
      join(folder, 'loop.png'),
      join(folder, 'pipe.png'),
      join(folder, 'socket.png'),
      join(folder, 'cat.png', 'x'),
      `${folder}-beside.png`,
      join(dataDir, 'jwt.secret'),
      '/etc/passwd',
      '/etc/no-such-file',
      '/dev/zero',
      '/proc/self/environ',
      '/'
    ]
    for (const path of paths) t.equal(await refusal(`file://${path}`), refused, path)
    const spellings = [
      `file://${folder}/../closed/cat.png`,
      `file://${folder}/%2e%2e/closed/cat.png`,
      `file://${folder}/..%2fclosed%2fcat.png`,
      `file://${folder}/cat.png%00`,
      `file://${folder}/%`,
      'file:///',
      'file://'
    ]
    for (const uri of spellings) t.equal(await refusal(uri), refused, uri)
    t.strictSame(await left(), [])
  })

  t.test('the data directory stays closed, also below a folder that is open', async (t) => {
    const dir = makeDirectory(t)
    const { dataDir, refusal, take } = await openStage(t, { folders: ['/', dir] })
    await mkdir(join(dataDir, 'media'))
    for (const name of ['lactea.db', 'jwt.secret', 'media/cat.png']) await writeFile(join(dataDir, name), PICTURE)
    for (const name of ['lactea.db', 'jwt.secret']) t.equal(await refusal(`file://${dataDir}/${name}`), refused)
    t.match(await take(`file://${dataDir}/media/cat.png`), { name: 'cat.png' })
    await symlink(join(dataDir, 'lactea.db'), join(dataDir, 'media', 'link.png'))
    t.equal(await refusal(`file://${dataDir}/media/link.png`), refused)
    await link(join(dataDir, 'media', 'cat.png'), join(dir, 'hard.png'))
    t.match(await take(`file://${dir}/hard.png`), { name: 'hard.png' })
  })

  t.test('what is no path, too large or something else says so', async (t) => {
    const { refusal, folder, left } = await openStage(t)
    const invalid = 'invalid: message: expected file:/// and an absolute path of the gateway’s machine'
    await writeFile(join(folder, 'large.png'), Buffer.alloc(MAX_BYTES + 1))
    await writeFile(join(folder, 'paper.png'), pdf())
    await writeFile(join(folder, 'empty.png'), '')
    const rows: [uri: string, said: string][] = [
      ['file://server/share/cat.png', invalid],
      ['file://127.0.0.1/cat.png', invalid],
      [`file://${folder}/cat.png?x=1`, 'invalid: message: in a file address ? is written %3F and # is written %23'],
      [`file://${folder}/cat#1.png`, 'invalid: message: in a file address ? is written %3F and # is written %23'],
      [`file://${folder}/large.png`, 'too_large: message: a file has at most 10000 bytes'],
      [`file://${folder}/paper.png`, 'invalid: message: a file of type application/pdf cannot be sent as image'],
      [`file://${folder}/empty.png`, 'invalid: the file is empty']
    ]
    for (const [uri, said] of rows) t.equal(await refusal(uri), said, uri)
    t.strictSame(await left(), [])
  })

  t.test('a folder that comes later or is moved is looked at as it is', async (t) => {
    const { refusal, take, folder } = await openStage(t)
    await writeFile(join(folder, 'cat.png'), PICTURE)
    await rename(folder, `${folder}-moved`)
    t.equal(await refusal(`file://${folder}/cat.png`), refused)
    await symlink(`${folder}-moved`, folder)
    t.match(await take(`file://${folder}/cat.png`), { name: 'cat.png' })
    t.match(await take(`file://${folder}-moved/cat.png`), { name: 'cat.png' })
  })
})

t.test('what is taken is what it was meant as', async (t) => {
  const { take, refusal } = await openStage(t)
  const voice = `base64://${wav().toString('base64')}`
  t.match(await take(voice, { kind: 'voice' }), { mime: 'audio/wav', durationS: 1 })
  t.match(await refusal(voice), /audio\/wav cannot be sent as image$/)
  t.match(await refusal(voice, { kind: 'video' }), /audio\/wav cannot be sent as video$/)
})

/** A port of 127.0.0.2 at which connections are counted. */
async function startCounter(t: Test): Promise<{ port: number; count: () => number }> {
  let count = 0
  const server = createSocketServer((socket) => {
    count++
    socket.destroy()
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, resolve))
  return { port: (server.address() as AddressInfo).port, count: () => count }
}
