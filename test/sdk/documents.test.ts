import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  ackedId,
  APIMessageBase,
  ApiSession,
  encodeAck,
  encodeEnvelope,
  isObject,
  MessageBase,
  MessageClient,
  MessageServer,
  Outbox,
  readEnvelope,
  Seg,
  wantsAck,
  type Received
} from '../../sdk/src/index.ts'

// The documents that people write their programs by are the judge: each of their JSON blocks is read, and produced again.

/**
 * What stands between fences marked as JSON. Comments (`// …`, `# …`) and dots that stand for more (`{ ... }`, `[...]`) are
 * no JSON and are left out; what is in strings stays.
 */
function blocksOf(name: string): any[] {
  const document = readFileSync(new URL(`documents/${name}`, import.meta.url), 'utf8')
  return [...document.matchAll(/```json\n(.*?)```/gs)].map(([, json = '']) => {
    const clean = json.replace(/("(?:[^"\\]|\\.)*")|\/\/.*|#.*|\.\.\./g, (_all, text: string | undefined) => text ?? '')
    return JSON.parse(clean) as unknown
  })
}

const legacy = blocksOf('legacy-websocket-api.md')
const external = blocksOf('external-client-guide.md')

/** What legacy messages have in them when they are written, also where the document leaves it out (contract 1.4). */
const EMPTY = {
  user_info: { platform: null, user_id: null, user_nickname: null, user_cardname: null },
  group_info: { platform: null, group_id: null, group_name: null }
}

t.test('every message of the legacy document is read, and written as it stands there', async (t) => {
  const messages = legacy.filter((block) => 'message_info' in block)
  t.equal(messages.length, 4)
  for (const block of messages) {
    const { message_info: info } = block
    const expected = {
      ...block,
      message_info: {
        ...info,
        user_info: { ...EMPTY.user_info, ...info.user_info },
        ...(info.group_info && { group_info: { ...EMPTY.group_info, ...info.group_info } })
      }
    }
    t.same(MessageBase.toObject(MessageBase.from(block)), expected, info.message_id)
  }
})

t.test('every segment of the legacy document is read, and can be made', (t) => {
  const segments = legacy.filter((block) => 'data' in block)
  for (const block of segments) t.strictSame(Seg.from(block), block, block.type)
  t.strictSame(segments, [
    Seg.text('这是一段文本内容'),
    Seg.image('iVBORw0KGgoAAAANSUhEUgAA...'),
    Seg.emoji('😀'),
    Seg.at('target_user_id'),
    Seg.reply('original_message_id'),
    Seg.list([Seg.text('Hello '), Seg.at('user123'), Seg.text('!')])
  ])
  t.equal(segments.length + 4, legacy.length, 'no block is left over')
  t.end()
})

t.test('the messages of the legacy document travel from client to server and back', async (t) => {
  const server = new MessageServer({ host: '127.0.0.1', port: 0, tokens: ['your_auth_token'] })
  server.registerMessageHandler((message) => void server.broadcastToPlatform('my_platform', message))
  await server.start()
  t.teardown(() => server.stop())
  const url = `ws://127.0.0.1:${server.address?.port}/ws`
  const client = new MessageClient({ url, platform: 'my_platform', token: 'your_auth_token' })
  t.teardown(() => client.stop())
  const messages = legacy.filter((block) => 'message_info' in block)
  const back: unknown[] = []
  const done = new Promise<void>((resolve) => {
    client.registerMessageHandler((message) => {
      if (back.push(message) === messages.length) resolve()
    })
  })
  t.equal(await client.connect(), true)
  for (const block of messages) t.equal(client.sendMessage(block as MessageBase), true)
  await done
  t.strictSame(
    back,
    messages.map((block) => MessageBase.from(block))
  )
})

t.test(
  'every envelope of the external guide is read, acknowledged where it asks for it, and written as it stands there',
  (t) => {
    t.equal(external.length, 7)
    const received: Received[] = []
    const sent: any[] = []
    const session = new ApiSession({
      side: 'server',
      uuid: 'u',
      outbox: new Outbox(),
      line: { send: (text) => sent.push(JSON.parse(text)) > 0 },
      onMessage: (message) => void received.push(message),
      onError: (err) => t.error(err)
    })
    for (const block of external) {
      const text = JSON.stringify(block)
      t.strictSame(readEnvelope(text), block)
      t.equal(wantsAck(block), block.type === 'sys_std')
      session.receive(text)
      const { type, msg_id: msgId, meta, payload } = block
      t.strictSame(JSON.parse(encodeEnvelope(type, msgId, meta, payload)), block)
    }
    const standard = external.filter((block) => block.type === 'sys_std')
    t.strictSame(
      received.map(({ envelope }) => envelope),
      standard
    )
    t.strictSame(
      sent.map((ack) => ackedId(ack)),
      standard.map((block) => block.msg_id)
    )
    t.end()
  }
)

t.test('every message of the external guide is read, and written as it stands there', (t) => {
  const messages = external
    .map((block) => block.payload)
    .filter((payload) => isObject(payload) && 'message_info' in payload)
  t.equal(messages.length, 5)
  for (const message of messages) t.strictSame(APIMessageBase.toObject(APIMessageBase.from(message)), message)
  t.end()
})

t.test('our acknowledgement has the form of the external guide', (t) => {
  const [block] = external.filter(({ type }) => type === 'sys_ack')
  const ours = JSON.parse(
    encodeAck({ side: 'server', uuid: '连接UUID', msgId: ackedId(block), nowMs: 1_234_567_890_123 })
  )
  t.strictSame({ ...ours, msg_id: block.msg_id }, block)
  t.end()
})

t.test('the API-Server guide has no JSON, only programs', (t) => {
  t.strictSame(blocksOf('api-server-guide.md'), [])
  t.end()
})
