import { readFileSync } from 'node:fs'
import t from 'tap'
import { actions } from '../../src/actions/index.ts'
import type { GatewayEvent } from '../../src/core/event.ts'
import type { Signal } from '../../src/core/signal.ts'
import { compileParams } from '../../src/core/validate.ts'
import { decodeFrame, encodeFrame } from '../../src/protocols/imsuite.ts'
import { createImSuiteCodecs } from '../../src/protocols/imsuite-codec.ts'
import { toCall } from '../../src/protocols/imsuite-frames.ts'
import { BASE_TYPES, faultOf } from '../helpers/imsuite-schemas.ts'

// The document itself is the judge: each of its JSON blocks is produced or read.

const document = readFileSync(new URL('../fixtures/imsuite-document.md', import.meta.url), 'utf8')
const [serverPart = '', clientPart = ''] = document.split('## 客户端发送事件')

interface Block {
  readonly type: string
  readonly payload: any
  readonly timestamp?: string
}

/** `[...]` stands for candidates, and the frame that explains frames is no frame. */
function blocksOf(text: string): Block[] {
  return [...text.matchAll(/```json\n(.*?)```/gs)]
    .map(([, json = '']) => json.replace('[...]', '[]'))
    .filter((json) => !json.includes('"事件数据"'))
    .map((json) => JSON.parse(json) as Block)
}

const serverBlocks = new Map(blocksOf(serverPart).map((block) => [block.type, block]))
const [clientFrames = '', errorsAndHeartbeat = ''] = clientPart.split('## 错误处理')
const clientBlocks = blocksOf(clientFrames)
const laterBlocks = blocksOf(errorsAndHeartbeat)

const TIME = Date.parse('2025-10-07T12:00:00Z') / 1000
const zhang = { id: 2, nickname: '张三', avatarUrl: 'https://example.com/avatar.jpg' }
const me = { id: 1, nickname: '我', avatarUrl: '' }
const chat = { id: 1, kind: 'private', parties: [me, zhang] } as const
const common = { id: 123, time: TIME, chat, eventSeq: 1, audience: [1, 2] }
const message = (words: string) => ({
  id: 123,
  chatId: 1,
  seq: 1,
  senderId: 2,
  time: TIME,
  segments: [{ type: 'text', text: words }] as const
})
const callOf = { callId: 'call_123456', fromId: 1, toId: 2 }
const signal = { time: TIME, audience: [1] }
const candidateOf = (type: string): object[] => serverBlocks.get(type)?.payload.ice_candidates ?? []
const sdp: string = serverBlocks.get('call.offer')?.payload.sdp

const events: GatewayEvent[] = [
  { ...common, kind: 'message.created', data: { message: message('你好，这是一条新消息'), sender: zhang } },
  {
    ...common,
    kind: 'message.edited',
    data: { message: { ...message('这是编辑后的消息'), rev: 1, editedAt: TIME } }
  },
  { ...common, kind: 'message.recalled', data: { messageId: 123, seq: 1, senderId: 2, operatorId: 2 } }
]
const signals: Signal[] = [
  { ...signal, kind: 'message.read', data: { messageId: 123, chatId: 1, readerId: 2 } },
  { ...signal, kind: 'chat.typing', data: { chatId: 1, account: zhang, isTyping: true } },
  { ...signal, kind: 'presence.changed', data: { account: zhang, isOnline: true, lastSeenAt: TIME } },
  {
    ...signal,
    kind: 'call.offered',
    data: { ...callOf, kind: 'video', sdp, candidates: candidateOf('call.offer') as never, createdAt: TIME }
  },
  {
    ...signal,
    kind: 'call.answered',
    data: {
      callId: 'call_123456',
      fromId: 2,
      toId: 1,
      sdp,
      candidates: candidateOf('call.answer') as never,
      answeredAt: TIME
    }
  },
  {
    ...signal,
    kind: 'call.candidate',
    data: { ...callOf, candidate: serverBlocks.get('call.ice')?.payload.ice_candidate }
  },
  {
    kind: 'call.ended',
    time: TIME + 120,
    audience: [1],
    data: { ...callOf, reason: 'user_hangup', durationS: 120, endedAt: TIME + 120 }
  },
  {
    ...signal,
    kind: 'notice.sent',
    data: {
      noticeId: 1,
      title: '系统通知',
      message: '服务器将在 10 分钟后进行维护',
      kind: 'info',
      actionUrl: 'https://example.com/maintenance'
    }
  }
]

t.test('the document shows every type that base clients get, pong further down', async (t) => {
  t.strictSame([...serverBlocks.keys(), 'pong'].toSorted(), BASE_TYPES.toSorted())
})

t.test('the schemas of the tests take the frames of the document', async (t) => {
  for (const block of serverBlocks.values()) t.equal(faultOf(block), undefined, block.type)
})

t.test('and nothing with a key more, a key less or another type', async (t) => {
  for (const block of serverBlocks.values()) {
    t.not(faultOf({ ...block, x: {} } as Block), undefined, `${block.type} with x`)
    t.not(faultOf({ ...block, payload: { ...block.payload, seq: 1 } } as Block), undefined, `${block.type} with seq`)
    for (const key of Object.keys(block.payload)) {
      const { [key]: _, ...rest } = block.payload
      t.not(faultOf({ ...block, payload: rest } as Block), undefined, `${block.type} without ${key}`)
      const other = { ...block.payload, [key]: typeof block.payload[key] === 'number' ? '1' : 1 }
      t.not(faultOf({ ...block, payload: other } as Block), undefined, `${block.type} with another ${key}`)
    }
  }
})

t.test('events and signals become exactly the frames of the document', async (t) => {
  const { base } = createImSuiteCodecs(() => '')
  const produced = [
    ...events.map((event) => base.encodeEvent(event, 1)),
    ...signals.map((given) => base.encodeSignal?.(given)),
    encodeFrame('connect', { status: 'connected', user_id: 1, server_time: '2025-10-07T12:00:00Z' }, TIME),
    encodeFrame('disconnect', { status: 'disconnected', reason: 'client_close' }, TIME),
    encodeFrame('error', serverBlocks.get('error')?.payload, TIME)
  ].map((frame) => JSON.parse(frame ?? '{}') as Block)
  for (const frame of produced) {
    t.strictSame(frame, serverBlocks.get(frame.type), frame.type)
    t.strictSame(Object.keys(frame.payload), Object.keys(serverBlocks.get(frame.type)?.payload), `${frame.type}: order`)
  }
  t.equal(produced.length, serverBlocks.size)
})

t.test('every frame that the document lets clients send asks for an action that takes it', async (t) => {
  t.equal(clientBlocks.length, 10)
  for (const block of clientBlocks) {
    const frame = decodeFrame(JSON.stringify(block))
    t.equal(frame.type, block.type)
    const call = toCall(frame, false)
    const action = actions.find(({ name }) => name === call?.action)
    t.ok(action, block.type)
    if (action) t.ok(compileParams(action.params)(call?.params), block.type)
  }
})

t.test('the error and the heartbeat of the document are read and produced', async (t) => {
  const [error, ping, pong] = laterBlocks
  t.match(error, { type: 'error', payload: { error_code: 'AUTHENTICATION_FAILED', details: { reason: '令牌已过期' } } })
  t.equal(faultOf({ ...error, timestamp: '2025-10-07T12:00:00Z' } as Block), undefined)
  t.strictSame(decodeFrame(JSON.stringify(ping)).payload, ping?.payload)
  t.strictSame(decodeFrame('{"type":"ping"}').payload, {})
  t.equal(faultOf({ ...pong, timestamp: '2025-10-07T12:00:00Z' } as Block), undefined)
})
