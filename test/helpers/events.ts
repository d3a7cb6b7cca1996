import type { GatewayEvent } from '../../src/core/event.ts'

/** A message event of a group, as the log would hold it. */
export function messageEvent(id: number, { chatId = 100001, audience = [10002] } = {}): GatewayEvent {
  return {
    id,
    kind: 'message.created',
    time: 1_700_000_000,
    chat: {
      id: chatId,
      kind: 'group',
      name: 'Test group',
      memberCount: 2,
      description: '',
      announcement: '',
      createdAt: 0
    },
    eventSeq: id,
    audience,
    data: {
      message: {
        id,
        chatId,
        seq: id,
        senderId: 10001,
        time: 1_700_000_000,
        segments: [{ type: 'text', text: `${id}` }]
      },
      sender: { id: 10001, nickname: 'One', avatarUrl: '' }
    }
  }
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
