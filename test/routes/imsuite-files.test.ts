import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startApp, world, type Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { ask, TIMESTAMP, type Answer } from '../helpers/person.ts'
import { pdf, png, wav } from '../helpers/pictures.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'

const PICTURE = png(30, 20)
const LIMIT = 200_000
const BOB = { id: 10012, kind: 'person', username: 'bob', password: 'bob-secret', nickname: 'Bob' }
const GROUP = 100001

interface Stage extends Running {
  /** Tokens. Alice is in the group, Bob in nothing. */
  readonly alice: string
  readonly bob: string
  /** Names of all files that the gateway keeps, and of those that are coming in. */
  readonly kept: () => string[]
}

async function openStage(t: Test, config: object = {}, dir = makeDirectory(t)): Promise<Stage> {
  const app = await startApp(t, {
    config: {
      limits: { file_size: LIMIT },
      ...config,
      provision: { ...world.provision, accounts: [...world.provision.accounts, BOB] }
    },
    dir,
    logLevel: 'warn'
  })
  const files = join(app.dir, 'data', 'files')
  return {
    ...app,
    alice: await app.signIn('alice', 'alice-secret'),
    bob: await app.signIn('bob', 'bob-secret'),
    kept: () =>
      readdirSync(files, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name).slice(files.length + 1))
  }
}

async function upload(app: Running, token: string, bytes: Uint8Array, name = 'cat.png', type = ''): Promise<Answer> {
  const form = new FormData()
  form.set('is_encrypted', 'false')
  form.set('file', new Blob([Buffer.from(bytes)], { type }), name)
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

interface Fetched {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
}

async function get(app: Running, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Fetched> {
  const response = await fetch(new URL(path, app.url), { method, headers })
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) }
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

t.test('an upload is answered in the words of every client', async (t) => {
  const app = await openStage(t)
  const { status, body } = await upload(app, app.alice, PICTURE, 'a cat.png')
  t.equal(status, 200)
  const file = {
    id: 1,
    file_id: 1,
    name: 'a cat.png',
    file_name: 'a cat.png',
    size: PICTURE.length,
    file_size: PICTURE.length,
    type: 'image/png',
    mime_type: 'image/png',
    width: 30,
    height: 20,
    thumbnail: '',
    created_at: TIMESTAMP
  }
  t.match(body, { success: true, ...file, data: file })
  t.match(body.url, /^\/api\/files\/1\/a_cat\.png\?exp=\d+&sig=[\w-]{43}$/)
  t.equal(body.data.file_url, body.url)
  t.match(await ask(app, 'GET', '/api/files/1', { token: app.alice }), {
    status: 200,
    body: { ...file, url: body.url }
  })
})

t.test('a link gives the same bytes to whoever has it', async (t) => {
  const app = await openStage(t)
  const { body } = await upload(app, app.alice, PICTURE)
  const { status, headers, bytes } = await get(app, body.url)
  t.equal(status, 200)
  t.ok(bytes.equals(PICTURE))
  t.match(Object.fromEntries(headers), {
    'content-type': 'image/png',
    'content-length': String(PICTURE.length),
    'content-disposition': `inline; filename="cat.png"; filename*=UTF-8''cat.png`,
    'x-content-type-options': 'nosniff',
    'content-security-policy': /default-src 'none'.*sandbox/,
    'cache-control': /^private, .*immutable$/,
    'accept-ranges': 'bytes',
    etag: `"${createHash('sha256').update(PICTURE).digest('hex')}"`
  })
})

t.test('a link that is wrong, of another file or too old is refused', async (t) => {
  const app = await openStage(t)
  const [one, two] = [await upload(app, app.alice, PICTURE), await upload(app, app.alice, wav(), 'a.wav')]
  const url = new URL(one.body.url, app.url)
  const change = (name: string, value: string): string => {
    const changed = new URL(url)
    changed.searchParams.set(name, value)
    return changed.href
  }
  const sig = url.searchParams.get('sig') ?? ''
  const rows: [label: string, href: string, status: number][] = [
    ['as it is', url.href, 200],
    ['under another name', url.href.replace('cat.png', 'download'), 200],
    ['tampered', change('sig', (sig.startsWith('A') ? 'B' : 'A') + sig.slice(1)), 403],
    ['shortened', change('sig', sig.slice(0, 10)), 403],
    ['without a signature', change('sig', ''), 403],
    ['for longer', change('exp', String(Number(url.searchParams.get('exp')) + 3600)), 403],
    ['expired', change('exp', '1700000000'), 403],
    ['for another file', url.href.replace('/1/', '/2/'), 403],
    ['for a file that is not there', url.href.replace('/1/', '/9/'), 403],
    ['with nothing', `${app.url}/api/files/1/cat.png`, 401],
    ['for a number that is none', url.href.replace('/1/', '/x/'), 400]
  ]
  for (const [label, href, status] of rows) t.equal((await get(app, href)).status, status, label)
  t.equal((await get(app, two.body.url)).status, 200)
})

t.test('with a token: the owner and the members of chats that it was sent to', async (t) => {
  const app = await openStage(t)
  const { body } = await upload(app, app.bob, PICTURE)
  const path = `/api/files/${body.id}/download`
  const statusFor = async (token: string): Promise<number> => (await get(app, path, bearer(token))).status
  t.strictSame([await statusFor(app.bob), await statusFor(app.alice)], [200, 404])
  const socket = await openSocket(t, `${app.ws}/ws?token=${app.bob}`)
  socket.send({ type: 'message.send', payload: { receiver_id: 10011, message_type: 'image', file_id: body.id } })
  const { payload } = await socket.find(({ type }) => type === 'message.new')
  t.strictSame([await statusFor(app.bob), await statusFor(app.alice)], [200, 200])
  t.equal((await get(app, `/api/files/${body.id}/preview`, bearer(app.alice))).status, 200)
  t.equal((await get(app, path, bearer('nonsense'))).status, 401)
  t.equal((await get(app, body.url, bearer('nonsense'))).status, 401, 'who shows a token shows a valid one')

  await t.test('until the message is recalled: then the file is gone, for links too', async (t) => {
    t.equal((await get(app, payload.message.file_url)).status, 200)
    socket.send({ type: 'message.delete', payload: { message_id: payload.message.id } })
    await socket.find(({ type }) => type === 'message.delete')
    t.strictSame([await statusFor(app.bob), await statusFor(app.alice)], [404, 404])
    t.equal((await get(app, payload.message.file_url)).status, 403)
    await app.lactea.gateway.files.tidy()
    t.strictSame(app.kept(), [])
  })
})

t.test('a second uploader of the same bytes has a file of their own, and the bytes are kept once', async (t) => {
  const app = await openStage(t)
  const answers = await Promise.all([app.alice, app.bob].map((token) => upload(app, token, PICTURE)))
  t.strictSame(
    answers.map(({ status }) => status),
    [200, 200]
  )
  t.equal(app.kept().length, 1)
  const [one, two] = answers.map(({ body }) => body.id)
  t.equal((await ask(app, 'GET', `/api/files/${one}`, { token: app.bob })).status, 404)
  t.equal((await ask(app, 'DELETE', `/api/files/${two}`, { token: app.alice })).status, 404)
  t.equal((await ask(app, 'DELETE', `/api/files/${one}`, { token: app.alice })).status, 200)
  t.equal(app.kept().length, 1)
  t.equal((await get(app, `/api/files/${two}/download`, bearer(app.bob))).status, 200)
  t.equal((await ask(app, 'DELETE', `/api/files/${two}`, { token: app.bob })).status, 200)
  t.strictSame(app.kept(), [])
})

t.test('a file that a message shows is not deleted', async (t) => {
  const app = await openStage(t)
  const { body } = await upload(app, app.alice, PICTURE)
  const socket = await openSocket(t, `${app.ws}/ws?token=${app.alice}`)
  socket.send({ type: 'message.send', payload: { chat_id: GROUP, file_id: body.id } })
  await socket.find(({ type }) => type === 'message.new')
  const refused = await ask(app, 'DELETE', `/api/files/${body.id}`, { token: app.alice })
  t.match(refused, { status: 400, body: { success: false, code: 'CONFLICT' } })
})

t.test('parts of a file', async (t) => {
  const app = await openStage(t)
  const { body } = await upload(app, app.alice, PICTURE)
  const size = PICTURE.length
  const tag = `"${createHash('sha256').update(PICTURE).digest('hex')}"`
  const rows: [headers: Record<string, string>, status: number, part: [number, number] | undefined][] = [
    [{ range: 'bytes=0-0' }, 206, [0, 0]],
    [{ range: 'bytes=1-3' }, 206, [1, 3]],
    [{ range: 'bytes=10-' }, 206, [10, size - 1]],
    [{ range: 'bytes=-5' }, 206, [size - 5, size - 1]],
    [{ range: `bytes=0-${size + 100}` }, 206, [0, size - 1]],
    [{ range: `bytes=-${size + 100}` }, 206, [0, size - 1]],
    [{ range: `bytes=${size}-` }, 416, undefined],
    [{ range: 'bytes=-0' }, 416, undefined],
    [{ range: 'bytes=3-1' }, 200, [0, size - 1]],
    [{ range: 'bytes=0-1,3-4' }, 200, [0, size - 1]],
    [{ range: 'lines=0-1' }, 200, [0, size - 1]],
    [{ range: 'bytes=-' }, 200, [0, size - 1]],
    [{ range: 'bytes=1-3', 'if-range': tag }, 206, [1, 3]],
    [{ range: 'bytes=1-3', 'if-range': '"another"' }, 200, [0, size - 1]]
  ]
  for (const [headers, status, part] of rows) {
    const label = JSON.stringify(headers)
    const fetched = await get(app, body.url, headers)
    t.equal(fetched.status, status, label)
    if (!part) {
      t.equal(fetched.headers.get('content-range'), `bytes */${size}`, label)
      continue
    }
    t.ok(fetched.bytes.equals(PICTURE.subarray(part[0], part[1] + 1)), label)
    const range = status === 206 ? `bytes ${part[0]}-${part[1]}/${size}` : null
    t.equal(fetched.headers.get('content-range'), range, label)
  }
  for (const known of [tag, `W/${tag}`, `"x", ${tag}`, '*'])
    t.match(await get(app, body.url, { 'if-none-match': known }), { status: 304, bytes: { length: 0 } }, known)
  const head = await get(app, body.url, {}, 'HEAD')
  t.match(head, { status: 200, bytes: { length: 0 } })
  t.equal(head.headers.get('content-length'), String(size))
  t.equal(head.headers.get('content-type'), 'image/png')
})

t.test('bytes that somebody took away from the disk are not found, and the operator is told', async (t) => {
  const app = await openStage(t)
  const { body } = await upload(app, app.alice, PICTURE)
  rmSync(join(app.dir, 'data', 'files', String(app.kept()[0])))
  t.equal((await get(app, body.url)).status, 404)
  t.match(await app.logged('not on the disk'), /"file":1/)
  t.equal((await upload(app, app.alice, PICTURE)).status, 200, 'the next upload of them brings them back')
  t.ok((await get(app, body.url)).bytes.equals(PICTURE))
})

t.test('files and links outlive a restart, what a crash left without a file does not', async (t) => {
  const dir = makeDirectory(t)
  const first = await openStage(t, {}, dir)
  const { body } = await upload(first, first.alice, PICTURE)
  const { store, blobs } = first.lactea.gateway
  // As far as an upload comes whose process is killed before the file is written down.
  await blobs.receive([wav()], LIMIT, async ({ sha256 }, keep) => {
    await store.expectContent(sha256)
    await keep()
  })
  t.equal(first.kept().length, 2)
  await first.lactea.app.close()
  const second = await openStage(t, {}, dir)
  t.ok((await get(second, body.url)).bytes.equals(PICTURE))
  await waitFor(() => second.kept().length === 1)
})

t.test('what a browser could run is saved, never shown', async (t) => {
  const app = await openStage(t)
  const html = Buffer.from('<!doctype html><script>alert(1)</script>')
  const rows: [bytes: Buffer, name: string, claimed: string, type: string, shown: boolean][] = [
    [html, 'cat.png', 'image/png', 'application/octet-stream', false],
    [html, 'page.html', 'text/html', 'application/octet-stream', false],
    [
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      'a.svg',
      'image/svg+xml',
      'application/octet-stream',
      false
    ],
    [pdf(), 'paper.pdf', '', 'application/pdf', false],
    [Buffer.from('words'), 'words.txt', 'text/plain', 'application/octet-stream', false],
    [PICTURE, 'cat.html', 'text/html', 'image/png', true],
    [wav(), 'sound', '', 'audio/wav', true]
  ]
  for (const [bytes, name, claimed, type, shown] of rows) {
    const { body } = await upload(app, app.alice, bytes, name, claimed)
    t.equal(body.mime_type, type, name)
    for (const path of [body.url, `/api/files/${body.id}/preview`]) {
      const { headers } = await get(app, path, path === body.url ? {} : bearer(app.alice))
      t.equal(headers.get('content-type'), type, name)
      t.match(headers.get('content-disposition'), shown ? /^inline;/ : /^attachment;/, name)
      t.equal(headers.get('x-content-type-options'), 'nosniff')
    }
  }
})

t.test('names come back as names, and are never paths', async (t) => {
  const app = await openStage(t)
  const rows: [given: string, name: string][] = [
    ['../../../etc/passwd', 'passwd'],
    ['..\\..\\boot.ini', 'boot.ini'],
    ['..', 'file'],
    ['/etc/cron.d/x', 'x'],
    ['报告.png', '报告.png'],
    ["it's (1)*.png", "it's (1)*.png"],
    ['a\u202egnp.exe', 'agnp.exe'],
    ['x'.repeat(500), 'x'.repeat(128)]
  ]
  for (const [given, name] of rows) {
    const { status, body } = await upload(app, app.alice, PICTURE, given)
    t.match({ status, name: body.name }, { status: 200, name }, JSON.stringify(given.slice(0, 40)))
    const { headers, bytes } = await get(app, body.url)
    t.ok(bytes.equals(PICTURE))
    const [, encoded = ''] = /filename\*=UTF-8''([\w.%~!-]+)$/.exec(headers.get('content-disposition') ?? '') ?? []
    t.equal(decodeURIComponent(encoded), name)
  }
  t.equal(app.kept().length, 1)
  t.match(app.kept()[0], /^[0-9a-f]{2}\/[0-9a-f]{62}$/)
})

t.test('limits', async (t) => {
  const app = await openStage(t)
  t.match(await upload(app, app.alice, randomBytes(LIMIT)), { status: 200, body: { size: LIMIT } })
  const before = app.kept()
  const refusal = { success: false, code: 'VALIDATION_ERROR', details: { field: 'file' } }
  t.match(await upload(app, app.alice, randomBytes(LIMIT + 1)), { status: 413, body: refusal }, 'one byte too many')
  t.match(
    await upload(app, app.alice, randomBytes(LIMIT + 100_000)),
    { status: 413, body: refusal },
    'by its own account'
  )
  t.match(await upload(app, app.alice, Buffer.alloc(0)), { status: 400, body: refusal }, 'nothing')
  t.strictSame(app.kept(), before)
  t.strictSame(app.lines, [])
})

t.test('what is no form with a file is refused', async (t) => {
  const app = await openStage(t)
  const send = async (type: string | undefined, body: string | FormData, token = app.alice): Promise<number> => {
    const headers = { ...bearer(token), ...(type !== undefined && { 'content-type': type }) }
    const response = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body })
    const answer = (await response.json()) as { success: boolean }
    t.equal(answer.success, false)
    return response.status
  }
  const words = new FormData()
  words.set('file', 'only words')
  const part = 'content-disposition: form-data; name="file"; filename="x"'
  t.equal(await send('application/json', '{}'), 400)
  t.equal(await send('multipart/form-data', 'x'), 400, 'no boundary')
  t.equal(await send('multipart/form-data; boundary=b', `--b\r\n${part}\r\n\r\nhalf`), 400, 'cut short')
  t.equal(await send('multipart/form-data; boundary=b', '--b--\r\n'), 400, 'empty')
  t.equal(await send('text/plain', 'x'), 400)
  t.equal(await send('application/xml', '<x/>'), 415)
  t.equal(await send(undefined, words), 400, 'no file')
  t.equal(await send(undefined, words, 'nonsense'), 401)
  t.strictSame(app.kept(), [])
  t.strictSame(app.lines, [], 'none of it is a mistake of ours')
  t.equal((await upload(app, app.alice, PICTURE)).status, 200)
})

t.test('an upload that never ends is refused when it is too large, and nothing of it is left', async (t) => {
  const app = await openStage(t)
  const socket = await beginUpload(t, app, { isEndless: true })
  const answered = once(socket, 'data')
  socket.write(Buffer.alloc(LIMIT))
  t.match(String((await answered)[0]), /^HTTP\/1\.1 413 /)
  t.strictSame(app.kept(), [])
  t.equal((await upload(app, app.alice, PICTURE)).status, 200)
})

t.test('an upload that breaks off leaves nothing', async (t) => {
  const app = await openStage(t)
  const socket = await beginUpload(t, app)
  await waitFor(() => app.kept().length === 1)
  socket.destroy()
  await waitFor(() => app.kept().length === 0)
  t.strictSame(app.lines, [])
})

t.test('one account has four uploads under way, another is not held up', async (t) => {
  const app = await openStage(t)
  const sockets = await Promise.all(Array.from({ length: 4 }, () => beginUpload(t, app)))
  await waitFor(() => app.kept().length === 4)
  const refused = await upload(app, app.alice, PICTURE)
  t.match(refused, { status: 429, body: { code: 'RATE_LIMITED' } })
  t.ok(Number(refused.headers.get('retry-after')) > 0)
  t.equal((await upload(app, app.bob, PICTURE)).status, 200)
  for (const socket of sockets) socket.destroy()
  await waitFor(() => app.kept().length === 1)
  t.equal((await upload(app, app.alice, PICTURE)).status, 200)
})

t.test('an upload may take longer than other requests, as long as it goes on', async (t) => {
  const app = await openStage(t)
  const { server } = app.lactea.app
  const connected = once(server, 'connection')
  const client = await beginUpload(t, app)
  const [served] = (await connected) as [Socket]
  await waitFor(() => app.kept().length === 1)
  // What Node's server says of a request that is not whole after `requestTimeout`.
  const late = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
  server.emit('clientError', late, served)
  const answered = once(client, 'data')
  client.write('\r\n--b--\r\n')
  t.match(String((await answered)[0]), /^HTTP\/1\.1 200 OK/)

  client.write(
    'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{'
  )
  server.emit('clientError', late, served)
  t.match(String((await once(client, 'data'))[0]), /^HTTP\/1\.1 408 /, 'every other request is cut')
})

t.test('links begin with the public address when there is one', async (t) => {
  const app = await openStage(t, { server: { public_url: 'https://chat.example.org/im/' } })
  const { body } = await upload(app, app.alice, PICTURE)
  t.match(body.url, /^https:\/\/chat\.example\.org\/im\/api\/files\/1\/cat\.png\?exp=/)
  t.equal((await get(app, body.url.replace('https://chat.example.org/im', ''))).status, 200)
})

/** An upload of Alice's that has begun. It lacks its end; one that is endless says not how long it will be. */
async function beginUpload(t: Test, app: Stage, { isEndless = false } = {}): Promise<Socket> {
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  const part = '--b\r\ncontent-disposition: form-data; name="file"; filename="x.bin"\r\n\r\n'
  const length = part.length + 50_000 + '\r\n--b--\r\n'.length
  socket.write(
    [
      'POST /api/files/upload HTTP/1.1',
      'Host: localhost',
      `Authorization: Bearer ${app.alice}`,
      'Content-Type: multipart/form-data; boundary=b',
      ...(isEndless ? ['Transfer-Encoding: chunked', '', 'ffffff'] : [`Content-Length: ${length}`, '']),
      part
    ].join('\r\n')
  )
  socket.write(Buffer.alloc(50_000))
  return socket
}
