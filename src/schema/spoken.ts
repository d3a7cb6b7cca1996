import { Type, type Static } from '@sinclair/typebox'
import { Int, SegmentOf, ShortText, Text, Uin } from './common.ts'
import { FaceId, SenderName } from './segment.ts'

const MediaKind = Type.Union([
  Type.Literal('image'),
  Type.Literal('sticker'),
  Type.Literal('voice'),
  Type.Literal('video'),
  Type.Literal('file')
])

/** An address as the intake takes it, or a file of ours that the speaker may see. */
const Source = Type.Union([Type.Object({ uri: Text, name: Type.Optional(Text) }), Type.Object({ file_id: Uin })])
export type Source = Static<typeof Source>

/** What a brain says, in words of our own: unlike in Milky, messages have global ids and files stand in messages. */
export const SpokenSegment = Type.Recursive(
  (Self) =>
    Type.Union([
      SegmentOf('text', Type.Object({ text: Text })),
      /** `name` is said when there is no such account. */
      SegmentOf('mention', Type.Object({ user_id: Uin, name: Text })),
      SegmentOf('mention_all', Type.Object({})),
      SegmentOf('face', Type.Object({ face_id: FaceId })),
      /** Left out when the chat has no such message. */
      SegmentOf('reply', Type.Object({ message_id: Uin })),
      SegmentOf('media', Type.Object({ kind: MediaKind, source: Source })),
      SegmentOf(
        'forward',
        Type.Object({
          messages: Type.Array(
            Type.Union([
              Type.Object({ message_id: Uin }),
              Type.Object({
                /** Who passes it on when absent. */
                user_id: Type.Optional(Uin),
                sender_name: SenderName,
                time: Type.Optional(Int),
                segments: Type.Array(Self)
              })
            ])
          )
        })
      )
    ]),
  { $id: 'SpokenSegment' }
)
export type SpokenSegment = Static<typeof SpokenSegment>

/** The speaker's own name for a message. */
export const ClientId = Type.Optional(ShortText(64))
