import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startApp, type ApiAnswer, type Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { png } from '../helpers/pictures.ts'
import { movie, sound } from '../helpers/sounds.ts'

const GROUP = 100001
const PICTURE = png(30, 20)
const VOICE = sound(2.5)
const FILM = movie({ width: 64, height: 36, durationS: 9 })

interface Stage extends Running {
  /** A web server with the files at `/cat.png`, `/voice.wav` and `/film.mp4`, else 404. */
  readonly web: string
  readonly asked: string[]
  /** An open folder with the same files. */
  readonly folder: string
  /** Paths of what is kept of files. */
  readonly kept: () => string[]
}

async function openStage(t: Test): Promise<Stage> {
  const files: Record<string, Buffer> = { 'cat.png': PICTURE, 'voice.wav': VOICE, 'film.mp4': FILM }
  const dir = makeDirectory(t)
  const folder = join(dir, 'open')
  mkdirSync(folder)
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const bytes = files[request.url?.slice(1).split('?')[0] ?? '']
    response.writeHead(bytes ? 200 : 404).end(bytes)
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const media = { folders: [folder], allowed_networks: ['127.0.0.1'] }
  const app = await startApp(t, { dir, config: { media } })
  return {
    ...app,
    web: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    folder,
    kept: () =>
      readdirSync(join(dir, 'data', 'files'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => name)
  }
}

async function fetchBytes(url: string): Promise<Buffer> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${response.status} for ${url}`)
  return Buffer.from(await response.arrayBuffer())
}

const dialects = ['milky', 'call'] as const

for (const dialect of dialects) {
  t.test(`${dialect}: media by http and by file, and another bot hears what it is`, async (t) => {
    const { web, folder, asked, ...app } = await openStage(t)
    const send = (message: object[]): Promise<ApiAnswer> =>
      app[dialect]('token-one', 'send_group_message', { group_id: GROUP, message })
    const newest = async (): Promise<any[]> => {
      const params = { message_scene: 'group', peer_id: GROUP, limit: 1 }
      const { data } = await app.milky('token-two', 'get_history_messages', params)
      return data.messages.at(-1).segments
    }
    for (const root of [web, `file://${folder}`]) {
      const message = [
        { type: 'text', data: { text: 'look' } },
        { type: 'image', data: { uri: `${root}/cat.png`, sub_type: 'sticker', summary: 'a cat' } },
        { type: 'image', data: { uri: `${root}/cat.png`, sub_type: 'normal', summary: null } }
      ]
      t.match(await send(message), { http: 200, status: 'ok', retcode: 0 }, root)
      const heard = await newest()
      t.match(heard, [
        { type: 'text' },
        { type: 'image', data: { sub_type: 'sticker', summary: 'a cat', width: 30, height: 20 } },
        { type: 'image', data: { sub_type: 'normal', summary: '[image]', width: 30, height: 20 } }
      ])
      t.ok((await fetchBytes(heard[1].data.temp_url)).equals(PICTURE), 'the address needs no token')

      t.match(await send([{ type: 'record', data: { uri: `${root}/voice.wav` } }]), { retcode: 0 })
      const [voice] = await newest()
      t.match(voice, { type: 'record', data: { duration: 3 } })
      t.ok((await fetchBytes(voice.data.temp_url)).equals(VOICE))

      const film = { uri: `${root}/film.mp4`, thumb_uri: `${root}/thumb.png` }
      t.match(await send([{ type: 'video', data: film }]), { retcode: 0 })
      const [heardFilm] = await newest()
      t.match(heardFilm, { type: 'video', data: { width: 64, height: 36, duration: 9 } })
      const { resource_id } = heardFilm.data
      const { data } = await app[dialect]('token-two', 'get_resource_temp_url', { resource_id })
      t.ok((await fetchBytes(data.url)).equals(FILM))
    }
    t.strictSame(asked, ['/cat.png', '/cat.png', '/voice.wav', '/film.mp4'], 'nobody asks for the thumbnail')
  })

  t.test(`${dialect}: what cannot be had is told, and nothing is sent or kept`, async (t) => {
    const { web, folder, kept, ...app } = await openStage(t)
    const good = { type: 'image', data: { uri: `${web}/cat.png`, sub_type: 'normal' } }
    const missing = dialect === 'milky' ? -404 : -100
    const malformed = { retcode: -400 }
    const rows: [segment: object, answer: object][] = [
      [
        { type: 'image', data: { uri: `${web}/missing.png?token=secret`, sub_type: 'normal' } },
        { retcode: missing, message: `message: ${web.slice('http://'.length)} answered with status 404` }
      ],
      [
        { type: 'image', data: { uri: `http://10.0.0.1/cat.png`, sub_type: 'normal' } },
        {
          retcode: missing,
          message: 'message: 10.0.0.1 does not exist, or is in a network that media.allowed_networks does not open'
        }
      ],
      [
        { type: 'image', data: { uri: 'file:///etc/passwd', sub_type: 'normal' } },
        { retcode: missing, message: 'message: there is no such file in the folders that media.folders opens' }
      ],
      [
        { type: 'record', data: { uri: `file://${folder}/cat.png` } },
        { ...malformed, message: 'message: a file of type image/png cannot be sent as voice' }
      ],
      [
        { type: 'image', data: { uri: 'cat.png', sub_type: 'normal' } },
        { ...malformed, message: 'message: expected http://, https://, file:/// or base64://' }
      ]
    ]
    for (const [segment, answer] of rows) {
      const params = { group_id: GROUP, message: [good, segment] }
      t.match(await app[dialect]('token-one', 'send_group_message', params), { status: 'failed', ...answer })
    }
    t.strictSame(kept(), [])
    t.strictSame(await app.lactea.gateway.store.listLooseContents(10), [])
    const { data } = await app.milky('token-one', 'get_history_messages', { message_scene: 'group', peer_id: GROUP })
    t.strictSame(data.messages, [])
  })
}

t.test('a resource of a chat is nobody else’s', async (t) => {
  const { web, ...app } = await openStage(t)
  const message = [{ type: 'image', data: { uri: `${web}/cat.png` } }]
  await app.milky('token-one', 'send_private_message', { user_id: 10011, message })
  const params = { message_scene: 'friend', peer_id: 10011 }
  const { data } = await app.milky('token-one', 'get_history_messages', params)
  const { resource_id } = data.messages[0].segments[0].data
  t.match(await app.milky('token-one', 'get_resource_temp_url', { resource_id }), { retcode: 0 })
  t.match(await app.milky('token-two', 'get_resource_temp_url', { resource_id }), { retcode: -404 })
  t.match(await app.call('token-two', 'get_resource_temp_url', { resource_id }), { retcode: -100 })
})
