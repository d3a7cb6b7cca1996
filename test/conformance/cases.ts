import { MAX_FRAGMENTS } from '../../sdk/src/read-guard.ts'
import { BINARY, CLOSE, PING, PONG, TEXT, closePayload, type RawFrame } from '../helpers/raw-peer.ts'
import { callOf, close, echo, fragment, maybeEcho, pong, refusal, wrap, type Case } from './case.ts'
import { utf8Cases } from './cases-utf8.ts'

const HELLO = 'Hello, world!'
const hello: RawFrame = { opcode: TEXT, payload: wrap(HELLO) }
const ping: RawFrame = { opcode: PING }
const KIB = 1024
const MIB = 1024 * 1024

const BINARY_WHY = 'calls and events are text: a binary message is closed upon with 1003, whatever is in it'
const FRAGMENTS_WHY = 'a message has at most 512 fragments, since each costs memory of its own: 1008 above'

/** Everything in chapters 1 to 7, 9 and 10 that the Autobahn suite does not call informational. */
export const cases: readonly Case[] = [
  ...framing(),
  ...pings(),
  ...reservedBits(),
  ...opcodes(3, '4.1'),
  ...opcodes(11, '4.2'),
  ...fragments(),
  ...utf8Cases,
  ...closes(),
  ...sizes(),
  {
    id: '10.1.1',
    title: '64 KiB in frames of 1 300 bytes',
    frames: () => fragment(TEXT, callOf(65_536).text, 1300),
    expect: [echo(callOf(65_536).payload)]
  }
]

function framing(): Case[] {
  const rows = [0, 125, 126, 127, 128, 65_535, 65_536, 65_536]
  return rows.flatMap((size, index): Case[] => {
    const chop = index === 7 ? { chop: 997 } : {}
    const { text, payload } = size === 0 ? { text: Buffer.alloc(0), payload: undefined } : callOf(size)
    return [
      {
        id: `1.1.${index + 1}`,
        title: `a text of ${size} bytes`,
        frames: () => [{ opcode: TEXT, payload: text }],
        expect: [payload ? echo(payload) : refusal],
        ...chop
      },
      {
        id: `1.2.${index + 1}`,
        title: `a binary message of ${size} bytes`,
        frames: () => [{ opcode: BINARY, payload: Buffer.alloc(size, 0xfe) }],
        expect: [close(1003)],
        instead: BINARY_WHY,
        ...chop
      }
    ]
  })
}

function pings(): Case[] {
  const binary = Buffer.from([0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff])
  const longest = Buffer.alloc(125, 0xfe)
  const unasked = 'unsolicited pong payload'
  const ten = Array.from({ length: 10 }, (_, index) => `payload-${index}`)
  const tenPings = (): RawFrame[] => ten.map((payload) => ({ opcode: PING, payload }))
  return [
    { id: '2.1', title: 'an empty ping', frames: () => [ping], expect: [pong()] },
    { id: '2.2', title: 'a ping with a text', frames: () => [{ ...ping, payload: HELLO }], expect: [pong(HELLO)] },
    { id: '2.3', title: 'a ping with bytes', frames: () => [{ ...ping, payload: binary }], expect: [pong(binary)] },
    { id: '2.4', title: 'a ping of 125 bytes', frames: () => [{ ...ping, payload: longest }], expect: [pong(longest)] },
    {
      id: '2.5',
      title: 'a ping of 126 bytes',
      frames: () => [{ ...ping, payload: Buffer.alloc(126, 0xfe) }],
      expect: [close(1002)]
    },
    {
      id: '2.6',
      title: 'a ping of 125 bytes, byte by byte',
      frames: () => [{ ...ping, payload: longest }],
      chop: 1,
      expect: [pong(longest)]
    },
    { id: '2.7', title: 'a pong that nobody asked for', frames: () => [{ opcode: PONG }], expect: [] },
    { id: '2.8', title: 'the same with a text', frames: () => [{ opcode: PONG, payload: unasked }], expect: [] },
    {
      id: '2.9',
      title: 'a pong that nobody asked for, and a ping',
      frames: () => [
        { opcode: PONG, payload: unasked },
        { ...ping, payload: 'ping payload' }
      ],
      expect: [pong('ping payload')]
    },
    { id: '2.10', title: 'ten pings', frames: tenPings, expect: ten.map(pong) },
    { id: '2.11', title: 'ten pings, byte by byte', frames: tenPings, chop: 1, expect: ten.map(pong) }
  ]
}

function reservedBits(): Case[] {
  const bad = (rsv: number, frame: RawFrame): RawFrame => ({ ...frame, rsv })
  return [
    { id: '3.1', title: 'RSV 1', frames: () => [bad(1, hello)], expect: [close(1002)] },
    ...[
      ['3.2', 2, Infinity],
      ['3.3', 3, undefined],
      ['3.4', 4, 1]
    ].map(([id, rsv, chop]): Case => ({
      id: `${id}`,
      title: `a text, RSV ${rsv}, a ping`,
      frames: () => [hello, bad(Number(rsv), hello), ping],
      ...(chop !== undefined && { chop: Number(chop) }),
      expect: [maybeEcho(HELLO), close(1002)]
    })),
    {
      id: '3.5',
      title: 'RSV 5, binary',
      frames: () => [bad(5, { opcode: BINARY, payload: HELLO })],
      expect: [close(1002)]
    },
    { id: '3.6', title: 'RSV 6, a ping', frames: () => [bad(6, { ...ping, payload: HELLO })], expect: [close(1002)] },
    {
      id: '3.7',
      title: 'RSV 7, a close',
      frames: () => [bad(7, { opcode: CLOSE, payload: closePayload(1000) })],
      expect: [close(1002)]
    }
  ]
}

/** Opcodes that mean nothing. */
function opcodes(from: number, group: string): Case[] {
  return [0, 1, 2, 3, 4].map((index): Case => {
    const bad: RawFrame = { opcode: from + index, ...(index % 2 === 1 || index === 4 ? { payload: HELLO } : {}) }
    const title = `opcode ${from + index}`
    const id = `${group}.${index + 1}`
    if (index < 2) return { id, title, frames: () => [bad], expect: [close(1002)] }
    return {
      id,
      title: `a text, ${title}, a ping`,
      frames: () => [hello, bad, ping],
      ...(index === 4 && { chop: 1 }),
      expect: [maybeEcho(HELLO), close(1002)]
    }
  })
}

function fragments(): Case[] {
  const text = wrap('fragment1fragment2')
  const [first, last] = fragment(TEXT, text, 40) as [RawFrame, RawFrame]
  const between: RawFrame = { ...ping, payload: 'ping payload' }
  const inPieces = [undefined, Infinity, 1].map((chop) => (chop === undefined ? {} : { chop }))
  const five = fragment(TEXT, wrap('fragment1fragment2fragment3fragment4fragment5'), 17) as RawFrame[]
  const inFive = (): RawFrame[] => [
    ...five.slice(0, 2),
    { ...ping, payload: 'pongme 1!' },
    ...five.slice(2, 4),
    { ...ping, payload: 'pongme 2!' },
    ...five.slice(4)
  ]
  const lostEnd: RawFrame = { opcode: 0, payload: 'non-continuation payload' }
  const lostStart: RawFrame = { ...lostEnd, fin: false }
  return [
    ...[PING, PONG].map((opcode, index): Case => ({
      id: `5.${index + 1}`,
      title: 'a control frame in two fragments',
      frames: () => [
        { opcode, fin: false, payload: 'fragment1' },
        { opcode: 0, payload: 'fragment2' }
      ],
      expect: [close(1002)]
    })),
    ...inPieces.map((pieces, index): Case => ({
      id: `5.${index + 3}`,
      title: 'a text in two fragments',
      frames: () => [first, last],
      expect: [echo('fragment1fragment2')],
      ...pieces
    })),
    ...inPieces.map((pieces, index): Case => ({
      id: `5.${index + 6}`,
      title: 'a text in two fragments, a ping between them',
      frames: () => [first, between, last],
      expect: [pong('ping payload'), echo('fragment1fragment2')],
      ...pieces
    })),
    ...[lostEnd, lostStart].flatMap((lost, group) =>
      inPieces.map((pieces, index): Case => ({
        id: `5.${index + 9 + group * 3}`,
        title: 'a continuation of nothing, then a text',
        frames: () => [lost, hello],
        expect: [close(1002)],
        ...pieces
      }))
    ),
    {
      id: '5.15',
      title: 'a text in two fragments, a continuation of nothing, a text',
      frames: () => [first, last, lostStart, hello],
      expect: [maybeEcho('fragment1fragment2'), close(1002)]
    },
    ...[lostStart, lostEnd].map((lost, index): Case => ({
      id: `5.${index + 16}`,
      title: 'a continuation of nothing before a text in two fragments, twice',
      frames: () => [lost, first, last, lost, first, last],
      expect: [close(1002)]
    })),
    {
      id: '5.18',
      title: 'a text within a text',
      frames: () => [first, { opcode: TEXT, payload: 'fragment2' }],
      expect: [close(1002)]
    },
    ...[{}, { chop: Infinity }].map((pieces, index): Case => ({
      id: `5.${index + 19}`,
      title: 'a text in five fragments, pings between them',
      frames: inFive,
      expect: [pong('pongme 1!'), pong('pongme 2!'), echo('fragment1fragment2fragment3fragment4fragment5')],
      ...pieces
    }))
  ]
}

function closes(): Case[] {
  const end: RawFrame = { opcode: CLOSE, payload: closePayload(1000) }
  const closing =
    (payload: Buffer): (() => RawFrame[]) =>
    () => [{ opcode: CLOSE, payload }]
  const [first, last] = fragment(TEXT, wrap('fragment1fragment2'), 40) as [RawFrame, RawFrame]
  const good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
  const bad = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999]
  return [
    { id: '7.1.1', title: 'a text, a close', frames: () => [hello, end], expect: [maybeEcho(HELLO), close(1000)] },
    { id: '7.1.2', title: 'two closes', frames: () => [end, end], expect: [close(1000)] },
    { id: '7.1.3', title: 'a ping after the close', frames: () => [end, ping], expect: [close(1000)] },
    { id: '7.1.4', title: 'a text after the close', frames: () => [end, hello], expect: [close(1000)] },
    { id: '7.1.5', title: 'a close within a text', frames: () => [first, end, last], expect: [close(1000)] },
    // Without a code there is none to give back.
    { id: '7.3.1', title: 'a close without a code', frames: closing(Buffer.alloc(0)), expect: [close(1005)] },
    { id: '7.3.2', title: 'a close of one byte', frames: closing(Buffer.from('a')), expect: [close(1002)] },
    { id: '7.3.3', title: 'a close with a code', frames: closing(closePayload(1000)), expect: [close(1000)] },
    {
      id: '7.3.4',
      title: 'a close with a reason',
      frames: closing(closePayload(1000, 'Hello World!')),
      expect: [close(1000)]
    },
    {
      id: '7.3.5',
      title: 'a close of 125 bytes',
      frames: closing(closePayload(1000, '*'.repeat(123))),
      expect: [close(1000)]
    },
    {
      id: '7.3.6',
      title: 'a close of 126 bytes',
      frames: closing(closePayload(1000, '*'.repeat(124))),
      expect: [close(1002)]
    },
    {
      id: '7.5.1',
      title: 'a reason that is not UTF-8',
      frames: closing(closePayload(1000, Buffer.from('cebae1bdb9cf83cebcceb5eda080656469746564', 'hex'))),
      expect: [close(1007)]
    },
    ...good.map((code, index): Case => ({
      id: `7.7.${index + 1}`,
      title: `a close with ${code}`,
      frames: closing(closePayload(code)),
      expect: [close(code)]
    })),
    ...bad.map((code, index): Case => ({
      id: `7.9.${index + 1}`,
      title: `a close with ${code}`,
      frames: closing(closePayload(code)),
      expect: [close(1002)]
    }))
  ]
}

function sizes(): Case[] {
  const wholes = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB]
  const cuts = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB]
  const chops = [64, 128, 256, 512, KIB, 2 * KIB]
  const rounds = [0, 16, 64, 256, KIB, 4 * KIB]
  const large = (size: number): object => (size > MIB ? { isLarge: true } : {})
  const binary = { expect: [close(1003)], instead: BINARY_WHY }
  return [
    ...wholes.flatMap((size, index): Case[] => [
      text(`9.1.${index + 1}`, `a text of ${size} bytes`, size, large(size)),
      {
        id: `9.2.${index + 1}`,
        title: `a binary message of ${size} bytes`,
        frames: () => [{ opcode: BINARY, payload: Buffer.alloc(size) }],
        ...binary,
        ...large(size)
      }
    ]),
    ...cuts.flatMap((cut, index): Case[] => {
      const isTooMany = (4 * MIB) / cut > MAX_FRAGMENTS
      const title = `4 MiB in fragments of ${cut} bytes`
      const tooMany = { expect: [close(1008)], instead: FRAGMENTS_WHY }
      return [
        {
          id: `9.3.${index + 1}`,
          title,
          frames: () => fragment(TEXT, callOf(4 * MIB).text, cut),
          ...(isTooMany ? tooMany : { expect: [echo(callOf(4 * MIB).payload)] }),
          isLarge: true
        },
        {
          id: `9.4.${index + 1}`,
          title: `${title}, binary`,
          frames: () => fragment(BINARY, Buffer.alloc(4 * MIB), cut),
          ...(isTooMany ? tooMany : binary),
          isLarge: true
        }
      ]
    }),
    ...chops.flatMap((chop, index): Case[] => [
      text(`9.5.${index + 1}`, `a text of 1 MiB in pieces of ${chop} bytes`, MIB, { chop, isLarge: chop < 512 }),
      {
        id: `9.6.${index + 1}`,
        title: `a binary message of 1 MiB in pieces of ${chop} bytes`,
        frames: () => [{ opcode: BINARY, payload: Buffer.alloc(MIB) }],
        ...binary,
        chop,
        isLarge: chop < 512
      }
    ]),
    ...rounds.flatMap((size, index): Case[] => [
      // A call is larger than the smallest two.
      text(`9.7.${index + 1}`, `1 000 round trips of ${size} bytes`, Math.max(size, 48), { rounds: 1000 }),
      {
        id: `9.8.${index + 1}`,
        title: `binary messages of ${size} bytes`,
        frames: () => [{ opcode: BINARY, payload: Buffer.alloc(size) }],
        ...binary
      }
    ])
  ]
}

function text(id: string, title: string, size: number, more: Partial<Case>): Case {
  return {
    id,
    title,
    frames: () => [{ opcode: TEXT, payload: callOf(size).text }],
    expect: [echo(callOf(size).payload)],
    ...more
  }
}
