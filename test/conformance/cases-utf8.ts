import { TEXT, type RawFrame } from '../helpers/raw-peer.ts'
import { close, echo, fragment, refusal, wrap, type Case } from './case.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const KOSME = hex('ce ba e1 bd b9 cf 83 ce bc ce b5')
const EDITED = hex('65 64 69 74 65 64')
const SURROGATE = Buffer.concat([KOSME, hex('ed a0 80'), EDITED])
const TOO_HIGH = Buffer.concat([KOSME, hex('f4 90 80 80'), EDITED])
const UMLAUTS = Buffer.from('Hello-µ@ßöäüàá-UTF-8!!')

/** Bytes that every group of Autobahn's chapter 6 sends as one text each. */
const SEQUENCES: readonly (readonly [
  group: string,
  title: string,
  isValid: boolean,
  bytes: readonly (string | Buffer)[]
])[] = [
  [
    '6.5',
    'valid text',
    true,
    [
      '68656c6c6f24776f726c64',
      '68656c6c6fc2a2776f726c64',
      '68656c6c6fe282ac776f726c64',
      '68656c6c6ff0a4ada2776f726c64',
      KOSME
    ]
  ],
  ['6.7', 'the first sequence of a length', true, ['00', 'c280', 'e0a080', 'f0908080']],
  ['6.8', 'the first sequence of five and six bytes', false, ['f888808080', 'fc8480808080']],
  ['6.9', 'the last sequence of a length', true, ['7f', 'dfbf', 'efbfbf', 'f48fbfbf']],
  ['6.10', 'the last sequence of a length beyond Unicode', false, ['f7bfbfbf', 'fbbfbfbfbf', 'fdbfbfbfbfbf']],
  [
    '6.12',
    'a continuation without a start',
    false,
    ['80', 'bf', '80bf', '80bf80', '80bf80bf', '80bf80bf80', '80bf80bf80bf', Buffer.from(range(0x80, 0xbf))]
  ],
  [
    '6.13',
    'a lonely start',
    false,
    [lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb), lonely(0xfc, 0xfd)]
  ],
  [
    '6.14',
    'the last byte is missing',
    false,
    ['c0', 'e080', 'f08080', 'f8808080', 'fc80808080', 'df', 'efbf', 'f7bfbf', 'fbbfbfbf', 'fdbfbfbfbf']
  ],
  [
    '6.15',
    'incomplete sequences in a row',
    false,
    ['c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf']
  ],
  ['6.16', 'impossible bytes', false, ['fe', 'ff', 'fefeffff']],
  ['6.17', 'overlong forms', false, ['c0af', 'e080af', 'f08080af', 'f8808080af', 'fc80808080af']],
  ['6.18', 'the longest overlong forms', false, ['c1bf', 'e09fbf', 'f08fbfbf', 'f887bfbfbf', 'fc83bfbfbfbf']],
  ['6.19', 'overlong forms of NUL', false, ['c080', 'e08080', 'f0808080', 'f880808080', 'fc8080808080']],
  ['6.20', 'a surrogate', false, ['eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80', 'edbfbf']],
  [
    '6.21',
    'a pair of surrogates',
    false,
    [
      'eda080edb080',
      'eda080edbfbf',
      'edadbfedb080',
      'edadbfedbfbf',
      'edae80edb080',
      'edae80edbfbf',
      'edafbfedb080',
      'edafbfedbfbf'
    ]
  ],
  [
    '6.22',
    'a code point that is no character',
    true,
    range(0, 16).flatMap((plane) =>
      [0xfffe, 0xffff].map((low) => Buffer.from(String.fromCodePoint(plane * 0x10000 + low)))
    )
  ],
  ['6.23', 'specials', true, range(0xfff9, 0xffff).map((code) => Buffer.from(String.fromCodePoint(code)))]
]

/** Chapter 6: text is UTF-8 and nothing else (RFC 6455 §8.1). */
export const utf8Cases: readonly Case[] = [
  { id: '6.1.1', title: 'an empty text', frames: () => [{ opcode: TEXT }], expect: [refusal] },
  {
    id: '6.1.2',
    title: 'an empty text in three fragments',
    frames: () => [{ opcode: TEXT, fin: false }, { opcode: 0, fin: false }, { opcode: 0 }],
    expect: [refusal]
  },
  {
    id: '6.1.3',
    title: 'a text between empty fragments',
    frames: () => [
      { opcode: TEXT, fin: false },
      { opcode: 0, fin: false, payload: wrap('middle frame payload') },
      { opcode: 0 }
    ],
    expect: [echo('middle frame payload')]
  },
  {
    id: '6.2.1',
    title: 'valid text',
    frames: () => [{ opcode: TEXT, payload: wrap(UMLAUTS) }],
    expect: [echo(UMLAUTS)]
  },
  {
    id: '6.2.2',
    title: 'valid text, cut between characters',
    frames: () => fragment(TEXT, wrap(UMLAUTS), wrap('').length + 10),
    expect: [echo(UMLAUTS)]
  },
  {
    id: '6.2.3',
    title: 'valid text, a fragment per byte',
    frames: () => fragment(TEXT, wrap(UMLAUTS), 1),
    expect: [echo(UMLAUTS)]
  },
  {
    id: '6.2.4',
    title: 'valid text of longer sequences, a fragment per byte',
    frames: () => fragment(TEXT, wrap(KOSME), 1),
    expect: [echo(KOSME)]
  },
  { id: '6.3.1', title: 'a surrogate', frames: () => [{ opcode: TEXT, payload: SURROGATE }], expect: [close(1007)] },
  {
    id: '6.3.2',
    title: 'a surrogate, a fragment per byte',
    frames: () => fragment(TEXT, SURROGATE, 1),
    expect: [close(1007)]
  },
  ...[
    [KOSME.length, KOSME.length + 4],
    [KOSME.length + 1, TOO_HIGH.length - 1]
  ].map((cuts, index): Case => ({
    id: `6.4.${index + 1}`,
    title: 'beyond Unicode, in fragments; the fault may be told at the end',
    frames: () => cutAt(TOO_HIGH, cuts),
    expect: [close(1007)]
  })),
  ...[KOSME.length, KOSME.length + 1].map((chop, index): Case => ({
    id: `6.4.${index + 3}`,
    title: 'beyond Unicode, in one frame that comes in pieces',
    frames: () => [{ opcode: TEXT, payload: TOO_HIGH }],
    chop,
    expect: [close(1007)]
  })),
  ...range(1, KOSME.length).map((length) => {
    const bytes = KOSME.subarray(0, length)
    return sequence(`6.6.${length}`, 'a prefix of valid text', [2, 5, 7, 9, 11].includes(length), bytes)
  }),
  ...SEQUENCES.flatMap(([group, title, isValid, list]) =>
    list.map((bytes, index) => sequence(`${group}.${index + 1}`, title, isValid, bytes))
  ),
  ...['ed9fbf', 'ee8080', 'efbfbd', 'f48fbfbf', 'f4908080'].map((bytes, index) =>
    sequence(`6.11.${index + 1}`, 'a border of what is allowed', index < 4, bytes)
  )
]

function sequence(id: string, title: string, isValid: boolean, given: string | Buffer): Case {
  const bytes = typeof given === 'string' ? hex(given) : given
  // A NUL cannot be in the text of JSON; that it is refused and not closed upon shows that it was taken for text.
  const isBare = !isValid || bytes[0] === 0
  const frames = (): RawFrame[] => [{ opcode: TEXT, payload: isBare ? bytes : wrap(bytes) }]
  if (!isValid) return { id, title, frames, expect: [close(1007)] }
  return { id, title, frames, expect: [isBare ? refusal : echo(bytes)] }
}

function cutAt(payload: Buffer, cuts: readonly number[]): RawFrame[] {
  return [0, ...cuts].map((from, index) => ({
    opcode: index === 0 ? TEXT : 0,
    fin: index === cuts.length,
    payload: payload.subarray(from, cuts[index] ?? payload.length)
  }))
}

function lonely(from: number, to: number): Buffer {
  return Buffer.from(range(from, to).flatMap((byte) => [byte, 0x20]))
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}
