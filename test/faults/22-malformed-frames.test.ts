import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { makeDirectory } from '../helpers/directory.ts'
import { doorsOf, openDoors, signIn } from '../helpers/raw-doors.ts'
import { BINARY, CLOSE, closePayload, PING, TEXT, type RawFrame } from '../helpers/raw-peer.ts'
import { startService } from '../helpers/service.ts'
import { fault } from './lab/fault.ts'

type Dice = (below: number) => number

/** A frame that is wrong, how it is closed upon, and whether it ends in the middle. */
interface Malformed {
  readonly make: (dice: Dice) => RawFrame[]
  readonly code: number
  readonly isCut?: boolean
}

const BAD_UTF8 = ['ff', 'c0af', 'eda080', 'f4908080', 'e282', '80', 'f8888080', '61f09f98'].map((text) =>
  Buffer.from(text, 'hex')
)
const BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]
const pick = <T>(dice: Dice, list: readonly T[]): T => list[dice(list.length)] as T

const KINDS: Readonly<Record<string, Malformed>> = {
  'text that is not UTF-8': {
    make: (dice) => [
      {
        opcode: TEXT,
        payload: Buffer.concat([Buffer.alloc(dice(300), 'a'), pick(dice, BAD_UTF8), Buffer.alloc(1, 'b')])
      }
    ],
    code: 1007
  },
  'a text that is not UTF-8, in fragments': {
    make: (dice) => [
      { opcode: TEXT, fin: false, payload: pick(dice, BAD_UTF8) },
      { opcode: 0, payload: 'a' }
    ],
    code: 1007
  },
  'a reason that is not UTF-8': {
    make: (dice) => [{ opcode: CLOSE, payload: closePayload(1000, pick(dice, BAD_UTF8)) }],
    code: 1007
  },
  'reserved bits': {
    make: (dice) => [{ opcode: pick(dice, [TEXT, BINARY, PING, CLOSE]), rsv: 1 + dice(7), payload: 'ab' }],
    code: 1002
  },
  'no mask': {
    make: (dice) => [{ opcode: pick(dice, [TEXT, BINARY, PING, CLOSE]), isWronglyMasked: true, payload: 'ab' }],
    code: 1002
  },
  'an opcode that means nothing': {
    make: (dice) => [{ opcode: pick(dice, [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), payload: Buffer.alloc(dice(200)) }],
    code: 1002
  },
  'a control frame in fragments': {
    make: (dice) => [{ opcode: pick(dice, [CLOSE, PING, 10]), fin: false, payload: 'ab' }],
    code: 1002
  },
  'a control frame that is too long': {
    make: (dice) => [{ opcode: pick(dice, [CLOSE, PING, 10]), payload: Buffer.alloc(126 + dice(1000), 'a') }],
    code: 1002
  },
  'a continuation of nothing': {
    make: (dice) => [{ opcode: 0, fin: dice(2) === 0, payload: 'ab' }],
    code: 1002
  },
  'a message within a message': {
    make: (dice) => [
      { opcode: TEXT, fin: false, payload: 'a' },
      { opcode: 1 + dice(2), payload: 'b' }
    ],
    code: 1002
  },
  'a close code that is none': {
    make: (dice) => [{ opcode: CLOSE, payload: closePayload(pick(dice, BAD_CODES)) }],
    code: 1002
  },
  'a close of one byte': { make: () => [{ opcode: CLOSE, payload: 'a' }], code: 1002 },
  'a frame that breaks off': {
    make: (dice) => [{ opcode: TEXT, length: BigInt(100 + dice(1000)), payload: Buffer.alloc(dice(100), 'a') }],
    code: 1006,
    isCut: true
  }
}

fault({
  number: 22,
  title: 'malformed frames',
  mark: '10 000 malformed frames (bad UTF-8, reserved bits, wrong mask, bad opcodes, truncated): **0** crashes, right close code (1002/1007), **0** unhandled rejections.',
  async run({ t, size, figure }) {
    const dir = makeDirectory(t)
    writeFileSync(
      join(dir, 'lactea.yaml'),
      stringify({ ...openDoors, data: { dir: join(dir, 'data') }, log: { level: 'error' } })
    )
    const service = await startService(t, dir)
    let isGone = false
    void service.exited.then(() => (isGone = true))
    const doors = doorsOf(await signIn(service.url))
    const kinds = Object.entries(KINDS)
    const total = size(390, 10_000)
    const dice = createDice(29)
    let wrong = 0
    for (let index = 0; index < total && !isGone; index++) {
      const door = doors[index % doors.length] as (typeof doors)[number]
      const [name, kind] = kinds[dice(kinds.length)] as (typeof kinds)[number]
      const peer = await door.dial(t, service.ws)
      peer.send(...kind.make(dice))
      if (kind.isCut) peer.socket.end()
      const { code } = await peer.closed()
      if (!kind.isCut) peer.socket.destroy()
      if (code === kind.code) continue
      wrong++
      t.comment(`${door.path}, ${name}: closed with ${code}, wanted ${kind.code}`)
    }
    figure('frames', total, { atLeast: size(390, 10_000) })
    figure('wrong close codes', wrong, { is: 0 })
    figure('crashes', isGone ? 1 : 0, { is: 0 })
    // An unhandled rejection would be told there, and so would any other fault of ours.
    figure('unhandled rejections and errors in the log', service.log().split('\n').filter(Boolean).length, { is: 0 })
    figure('doors that are shut afterwards', isGone ? 1 : (await fetch(`${service.url}/ready`)).ok ? 0 : 1, { is: 0 })
  }
})

/** Numbers that look random and are the same in every run. */
function createDice(seed: number): Dice {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
