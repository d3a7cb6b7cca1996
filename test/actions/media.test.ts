import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { mp4, pdf, png, wav } from '../helpers/pictures.ts'
import { GROUP, MAX_FILE, openWorld, START, who, type World } from '../core/world.ts'

const PICTURE = png(30, 20)
const base64 = (bytes: Buffer): string => `base64://${bytes.toString('base64')}`

interface Stage extends World {
  readonly upload: (ownerId: number, bytes: Buffer, name?: string) => Promise<number>
  /** What a member hears of the newest message of the group. */
  readonly newest: () => Promise<any>
  readonly say: (accountId: number, params: object) => Promise<any>
  /** The contents that are on the disk, and whether any is loose. */
  readonly countFiles: () => Promise<number>
}

async function openStage(t: Test): Promise<Stage> {
  const world = await openWorld(t)
  return {
    ...world,
    upload: async (ownerId, bytes, name = 'upload.bin') =>
      (await world.files.add({ ownerId, bytes: [bytes], name })).id,
    async newest() {
      const [message] = await world.chats.listMessages(who.member, { chatId: GROUP, limit: 1 })
      return message?.segments
    },
    say: (accountId, params) => world.dispatch(accountId, 'send_chat_message', { chat_id: GROUP, ...params }),
    async countFiles() {
      let count = 0
      for (let id = 1; id < 20; id++) if (await world.store.findFile(id)) count++
      return count
    }
  }
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

t.test('a person sends a file of theirs', async (t) => {
  t.test('with words or without, and as what it is when they do not say', async (t) => {
    const { say, newest, upload } = await openStage(t)
    const fileId = await upload(who.member, PICTURE, 'cat.png')
    const file = {
      fileId,
      name: 'cat.png',
      mime: 'image/png',
      size: PICTURE.length,
      width: 30,
      height: 20,
      durationS: 0
    }
    t.match(await say(who.member, { file_id: fileId, content: ' a cat ', message_type: 'image' }), { ok: true })
    t.strictSame(await newest(), [
      { type: 'media', kind: 'image', file },
      { type: 'text', text: 'a cat' }
    ])
    t.match(await say(who.member, { file_id: fileId, content: '', message_type: 'file' }), { ok: true })
    t.strictSame(await newest(), [{ type: 'media', kind: 'file', file: { ...file, hash: digestOf(PICTURE) } }])
    t.match(await say(who.member, { file_id: fileId }), { ok: true })
    t.strictSame(await newest(), [{ type: 'media', kind: 'image', file }])
  })

  t.test('by its link, as clients of the document do', async (t) => {
    const { say, newest, upload, links } = await openStage(t)
    const fileId = await upload(who.member, PICTURE, 'cat.png')
    const path = links.linkOf({ fileId, name: 'cat.png' })
    const claims = { file_name: 'dog.exe', file_size: 1, mime_type: 'text/html' }
    for (const file_url of [path, `http://10.1.2.3:3000${path}`, `/api/files/${fileId}/download`]) {
      t.match(await say(who.member, { file_url, message_type: 'image', ...claims }), { ok: true })
      t.match(await newest(), [{ kind: 'image', file: { fileId, url: undefined, name: 'cat.png', mime: 'image/png' } }])
    }
  })

  t.test('and who got it passes it on', async (t) => {
    const { say, upload, dispatch } = await openStage(t)
    const fileId = await upload(who.member, PICTURE)
    const forward = { receiver_id: who.stranger, file_id: fileId }
    t.match(await dispatch(who.member2, 'send_chat_message', forward), { error: { reason: 'not_found' } })
    await say(who.member, { file_id: fileId })
    t.match(await dispatch(who.member2, 'send_chat_message', forward), { ok: true })
    t.match(await dispatch(who.stranger, 'send_chat_message', { ...forward, receiver_id: who.owner }), { ok: true })
  })
})

t.test('a person sends a file that lies elsewhere', async (t) => {
  const { say, newest, store } = await openStage(t)
  const file_url = 'https://pictures.example/a%20cat.png?size=9'
  t.match(await say(who.member, { file_url, message_type: 'image' }), { ok: true })
  t.strictSame(await newest(), [
    {
      type: 'media',
      kind: 'image',
      file: { url: file_url, name: 'a cat.png', mime: '', size: 0, width: 0, height: 0, durationS: 0 }
    }
  ])
  const claims = { file_name: '../my song.ogg', file_size: 99, mime_type: 'Audio/Ogg; codecs=opus' }
  t.match(await say(who.member, { file_url, ...claims }), { ok: true })
  t.match(await newest(), [{ kind: 'audio', file: { name: 'my song.ogg', mime: 'audio/ogg', size: 99 } }])
  t.equal(await store.findFile(1), undefined, 'nothing of it is fetched')
})

t.test('a person is refused', async (t) => {
  const { say, upload, store } = await openStage(t)
  const picture = await upload(who.member, PICTURE)
  const paper = await upload(who.member, pdf())
  const strangers = await upload(who.stranger, PICTURE)
  const rows: [label: string, params: object, field: string, reason?: string][] = [
    ['a picture without a file', { message_type: 'image', content: 'look' }, 'file_id'],
    ['a picture that is a document', { message_type: 'image', file_id: paper }, 'message_type'],
    ['a film that is a picture', { message_type: 'video', file_id: picture }, 'message_type'],
    ['words with a file', { message_type: 'text', content: 'x', file_id: picture }, 'message_type'],
    ['a word of the gateway', { message_type: 'system', content: 'x' }, 'message_type'],
    [
      'a picture elsewhere that says it is none',
      { message_type: 'image', file_url: 'https://a.example/x', mime_type: 'text/html' },
      'message_type'
    ],
    ['a file that is not there', { file_id: 99 }, 'file_id', 'not_found'],
    ['a file of somebody else', { file_id: strangers }, 'file_id', 'not_found'],
    ['the same by its path', { file_url: `/api/files/${strangers}` }, 'file_id', 'not_found'],
    ['an address without encryption', { file_url: 'http://a.example/x.png' }, 'file_url'],
    ['an address with a password', { file_url: 'https://me:secret@a.example/x.png' }, 'file_url'],
    ['a script', { file_url: 'javascript:alert(1)' }, 'file_url'],
    ['bytes in the address', { file_url: 'data:image/png;base64,AAAA' }, 'file_url'],
    ['a path of nothing', { file_url: '/etc/passwd' }, 'file_url'],
    ['a number that is none', { file_id: 0 }, 'file_id'],
    ['too many words', { file_id: picture, content: 'x'.repeat(11) }, 'message', 'too_large']
  ]
  for (const [label, params, field, reason = 'invalid'] of rows)
    t.match(await say(who.member, params), { ok: false, error: { reason, details: { field } } }, label)
  t.equal(await store.lastEventId(), 0)
})

t.test('an edit changes the words and leaves the file', async (t) => {
  const { say, newest, upload, dispatch } = await openStage(t)
  const fileId = await upload(who.member, PICTURE)
  const { data } = await say(who.member, { file_id: fileId, content: 'a cat' })
  const edit = (content: string): Promise<any> =>
    dispatch(who.member, 'edit_chat_message', { message_id: data.message_id, content })
  t.match(await edit('a dog'), { ok: true })
  t.match(await newest(), [
    { kind: 'image', file: { fileId } },
    { type: 'text', text: 'a dog' }
  ])
  t.match(await edit(''), { ok: true })
  t.match(await newest(), [{ kind: 'image' }])
})

t.test('a bot sends', async (t) => {
  const rows: [segment: object, kind: string, mime: string, name: string][] = [
    [{ type: 'image', data: { uri: base64(PICTURE) } }, 'image', 'image/png', 'image.png'],
    [
      { type: 'image', data: { uri: base64(PICTURE), sub_type: 'sticker', summary: null } },
      'sticker',
      'image/png',
      'image.png'
    ],
    [{ type: 'record', data: { uri: base64(wav()) } }, 'voice', 'audio/wav', 'audio.wav'],
    [{ type: 'video', data: { uri: base64(mp4()), thumb_uri: null } }, 'video', 'video/mp4', 'video.mp4']
  ]
  for (const [segment, kind, mime, name] of rows) {
    t.test(`${kind}: a file of the bot`, async (t) => {
      const { dispatch, newest, store } = await openStage(t)
      const message = [{ type: 'text', data: { text: 'look' } }, segment]
      t.match(await dispatch(who.bot, 'send_group_message', { group_id: GROUP, message }), { ok: true })
      t.match(await newest(), [{ type: 'text' }, { type: 'media', kind, file: { fileId: 1, mime, name } }])
      t.match(await store.findFile(1), { ownerId: who.bot })
    })
  }

  t.test('nothing that cannot be taken, and nothing is left of what could', async (t) => {
    const { dispatch, store, countFiles } = await openStage(t)
    const good = { type: 'image', data: { uri: base64(PICTURE) } }
    const broken: [uri: string, reason: string, words: RegExp][] = [
      ['http://127.0.0.1/', 'not_found', /^message: 127\.0\.0\.1 does not exist, or is in a network that/],
      ['file:///etc/passwd', 'not_found', /^message: there is no such file in the folders that media\.folders opens/],
      ['cat.png', 'invalid', /^message: expected http:\/\/, https:\/\/, file:\/\/\/ or base64:\/\/$/],
      ['base64://', 'invalid', /expected base64/],
      ['base64://not base64!', 'invalid', /expected base64/],
      [base64(pdf()), 'invalid', /application\/pdf cannot be sent as image/],
      [base64(Buffer.alloc(MAX_FILE + 1)), 'too_large', /at most/]
    ]
    for (const [uri, reason, message] of broken) {
      const segments = [good, { type: 'image', data: { uri } }]
      const outcome = await dispatch(who.bot, 'send_group_message', { group_id: GROUP, message: segments })
      t.match(outcome, { ok: false, error: { reason, message } }, uri.slice(0, 40))
    }
    const params = { group_id: GROUP, message: [good] }
    t.match(await dispatch(who.lonelyBot, 'send_group_message', params), { error: { reason: 'not_found' } })
    t.equal(await countFiles(), 0)
    t.strictSame(await store.listLooseContents(10), [])
  })
})

t.test('a bot hears what a person sent, and asks where it is', async (t) => {
  const { say, upload, dispatch } = await openStage(t)
  const history = async (): Promise<any> => {
    const params = { message_scene: 'group', peer_id: GROUP }
    const { data } = (await dispatch(who.bot, 'get_history_messages', params)) as any
    return data.messages.at(-1).segments
  }
  const [picture, voice, film, paper] = [
    await upload(who.member, PICTURE),
    await upload(who.member, wav()),
    await upload(who.member, mp4()),
    await upload(who.member, pdf(), 'report.pdf')
  ]
  const rows: [params: object, segment: object][] = [
    [
      { file_id: picture, content: 'a cat' },
      {
        type: 'image',
        data: { resource_id: `${picture}`, width: 30, height: 20, summary: '[image]', sub_type: 'normal' }
      }
    ],
    [
      { file_id: picture, message_type: 'sticker' },
      { type: 'image', data: { sub_type: 'sticker' } }
    ],
    [
      { file_id: voice, message_type: 'voice' },
      { type: 'record', data: { resource_id: `${voice}`, duration: 1 } }
    ],
    [{ file_id: voice, message_type: 'audio' }, { type: 'record' }],
    [{ file_id: film }, { type: 'video', data: { resource_id: `${film}`, width: 0, height: 0, duration: 0 } }],
    [{ file_id: film, message_type: 'gif' }, { type: 'video' }],
    [{ file_id: paper }, { type: 'file', data: { file_id: `${paper}`, file_name: 'report.pdf' } }],
    [
      { file_url: 'https://pictures.example/cat.png', message_type: 'image' },
      { type: 'image', data: { resource_id: 'https://pictures.example/cat.png' } }
    ]
  ]
  for (const [params, segment] of rows) {
    t.match(await say(who.member, params), { ok: true })
    t.match((await history())[0], segment, JSON.stringify(params))
  }

  const ask = (accountId: number, resource_id: string): Promise<any> =>
    dispatch(accountId, 'get_resource_temp_url', { resource_id })
  t.match(await ask(who.bot, `${picture}`), {
    data: { url: /^http:\/\/127\.0\.0\.1:3000\/api\/files\/1\/upload\.bin\?exp=\d+&sig=/ }
  })
  const elsewhere = 'https://pictures.example/cat.png'
  t.match(await ask(who.bot, elsewhere), { data: { url: elsewhere } })
  t.match(await ask(who.lonelyBot, `${picture}`), { error: { reason: 'not_found' } })
  for (const wrong of ['99', '0', '', 'x', 'http://pictures.example/cat.png', 'file:///etc/passwd', '1e3'])
    t.match(await ask(who.bot, wrong), { error: { reason: 'not_found' } }, wrong)
})

t.test('the address in what a bot hears is good for a day', async (t) => {
  const { say, upload, dispatch, links, setTime } = await openStage(t)
  await say(who.member, { file_id: await upload(who.member, PICTURE) })
  const { data } = (await dispatch(who.bot, 'get_history_messages', { message_scene: 'group', peer_id: GROUP })) as any
  const { temp_url, resource_id } = data.messages[0].segments[0].data
  const counts = (url: string): boolean => {
    const { searchParams } = new URL(url)
    return links.isValid(Number(resource_id), searchParams.get('exp') ?? '', searchParams.get('sig') ?? '')
  }
  t.equal(counts(temp_url), true)
  setTime(START + 24 * 3600)
  t.equal(counts(temp_url), true)
  setTime(START + 25 * 3600)
  t.equal(counts(temp_url), false)
  const fresh = (await dispatch(who.bot, 'get_resource_temp_url', { resource_id })) as any
  t.equal(counts(fresh.data.url), true)
})
