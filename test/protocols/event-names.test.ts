import { Event } from '@saltify/milky-types'
import t from 'tap'
import type { EventKind, GatewayEvent } from '../../src/core/event.ts'
import { DRAFT_EVENTS, MILKY_EVENTS, RENAMED_EVENTS } from '../../src/protocols/event-names.ts'
import { draftWebhookCodec, EVENT_TYPES } from '../../src/protocols/milky-draft.ts'
import { createMilkyCodec } from '../../src/protocols/milky-events.ts'

const kinds = [...Object.keys(EVENT_TYPES), 'chat.nudged', 'file.uploaded'] as EventKind[]
const happened = kinds.flatMap((kind) =>
  ['private', 'group', 'inbox'].map((chat) => ({ kind, chat: { kind: chat } }) as unknown as GatewayEvent)
)
const namesOf = (eventType: (event: GatewayEvent) => string | undefined): string[] =>
  [...new Set(happened.flatMap((event) => eventType(event) ?? []))].toSorted()

t.test('the names are those that the codecs use, all of them', async (t) => {
  t.strictSame(namesOf(draftWebhookCodec.eventType), DRAFT_EVENTS.toSorted())
  t.strictSame(namesOf(createMilkyCodec(() => '').eventType), MILKY_EVENTS.toSorted())
  t.strictSame([DRAFT_EVENTS.length, MILKY_EVENTS.length], [18, 20])
})

t.test('the names of Milky 1.2 are those of its package', async (t) => {
  const { options } = Event as unknown as { options: { shape: { event_type: { value: string } } }[] }
  t.strictSame(options.map((option) => option.shape.event_type.value).toSorted(), MILKY_EVENTS.toSorted())
})

t.test('what is called otherwise is in one list under each name', async (t) => {
  for (const [draft, v1] of RENAMED_EVENTS) {
    t.ok(DRAFT_EVENTS.includes(draft) && !MILKY_EVENTS.includes(draft), draft)
    t.ok(MILKY_EVENTS.includes(v1) && !DRAFT_EVENTS.includes(v1), v1)
  }
})
