import type { Codec } from './codec.ts'

/** The same language with the place of each event in front, for who asks for it: strict clients never see it. */
export function withCursor(codec: Codec): Codec {
  return {
    name: `${codec.name}-cursor`,
    encodeEvent(event, viewerId) {
      const text = codec.encodeEvent(event, viewerId)
      return text && `{"cursor":"${event.id}",${text.slice(1)}`
    }
  }
}
