import { setImmediate as turn } from 'node:timers/promises'
import { CLOSE, PING, PONG, TEXT, type HeardFrame, type RawPeer } from '../helpers/raw-peer.ts'
import type { Case, Expected } from './case.ts'

export interface CaseRun {
  /** Whether the gateway dialled: then its frames have to be masked. */
  readonly isDialled?: boolean
  /** The door says things of its own, which are passed over: only how it closes is looked at. */
  readonly isNoisy?: boolean
  /** Instead of those of the case. */
  readonly rounds?: number
}

/** How long a peer may be kept waiting on a busy machine. */
const PATIENCE_MS = 30_000

/** Plays a case on a fresh connection, which is over then. Gives what was wrong, if anything. */
export async function runCase(peer: RawPeer, kase: Case, run: CaseRun = {}): Promise<string | undefined> {
  let onLate = (): void => {}
  const late = new Promise<string>((resolve) => (onLate = () => resolve('nothing came for too long')))
  const timer = setTimeout(() => onLate(), PATIENCE_MS)
  peer.answersPings(false)
  try {
    return await Promise.race([play(peer, kase, run), late])
  } finally {
    clearTimeout(timer)
    peer.socket.destroy()
  }
}

async function play(peer: RawPeer, kase: Case, run: CaseRun): Promise<string | undefined> {
  const { rounds = kase.rounds ?? 1 } = run
  for (let round = 0; round < rounds; round++) {
    await write(peer, kase)
    for (const expected of kase.expect) {
      const fault = await hear(peer, expected, run)
      if (fault !== undefined) return fault
    }
  }
  if (!kase.expect.some(({ kind }) => kind === 'close')) {
    peer.send({ opcode: CLOSE, payload: Buffer.from([0x03, 0xe8]) })
    const fault = await hear(peer, { kind: 'close', code: 1000 }, run)
    if (fault !== undefined) return fault
  }
  const after = await peer.next()
  return after && `after the close came ${describe(after)}`
}

async function write({ socket, build }: RawPeer, { frames, chop }: Case): Promise<void> {
  const list = frames().map(build)
  const pieces = chop === undefined ? list : cut(Buffer.concat(list), chop)
  for (const piece of pieces) {
    if (!socket.writable) return
    const isRoomy = socket.write(piece)
    // The other side shall read the pieces one by one.
    if (pieces.length > 1) await turn()
    while (!isRoomy && socket.writableNeedDrain && socket.writable) await turn()
  }
}

function cut(bytes: Buffer, size: number): Buffer[] {
  if (size === Infinity) return [bytes]
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size)
  )
}

let unread: { peer: RawPeer; frame: HeardFrame } | undefined

/** Gives what is wrong with the next frame, if anything. */
async function hear(peer: RawPeer, expected: Expected, run: CaseRun): Promise<string | undefined> {
  const frame = await nextOf(peer, run)
  if (!frame) return `the connection ended, wanted ${expected.kind}`
  const form = findFault(frame, run)
  if (form !== undefined) return form
  if (expected.kind === 'maybe-echo' && frame.opcode !== TEXT) {
    unread = { peer, frame }
    return undefined
  }
  if (!isAsWanted(frame, expected)) return `wanted ${wordsOf(expected)}, heard ${describe(frame)}`
  // Whoever is closed upon answers; who has closed hears nothing more from us.
  if (frame.opcode === CLOSE) peer.send({ opcode: CLOSE, payload: frame.payload })
  return undefined
}

async function nextOf(peer: RawPeer, { isNoisy = false }: CaseRun): Promise<HeardFrame | undefined> {
  if (unread?.peer === peer) {
    const { frame } = unread
    unread = undefined
    return frame
  }
  for (;;) {
    const frame = await peer.next()
    if (frame?.opcode === PING) peer.send({ opcode: PONG, payload: frame.payload })
    else if (!frame || frame.opcode !== TEXT || !isNoisy) return frame
  }
}

/** What no frame of ours may be. */
function findFault(frame: HeardFrame, { isDialled = false }: CaseRun): string | undefined {
  const { opcode, fin, rsv, isMasked, payload } = frame
  if (rsv !== 0) return `reserved bits ${rsv}`
  if (isMasked !== isDialled) return isDialled ? 'a frame is not masked' : 'a frame is masked'
  if (opcode >= CLOSE && (!fin || payload.length > 125)) return 'a control frame that is too long or in pieces'
  if (![TEXT, CLOSE, PING, PONG].includes(opcode)) return `opcode ${opcode}`
  return undefined
}

function isAsWanted(frame: HeardFrame, expected: Expected): boolean {
  const { opcode, payload } = frame
  switch (expected.kind) {
    case 'pong':
      return opcode === PONG && payload.equals(expected.payload)
    case 'close':
      return opcode === CLOSE && codeOf(frame) === expected.code
    case 'refusal':
      return opcode === TEXT && payload.includes('"retcode":-400')
    default:
      return (
        opcode === TEXT &&
        payload.includes(Buffer.concat([Buffer.from('"echo":"'), expected.payload, Buffer.from('"')]))
      )
  }
}

function codeOf({ payload }: HeardFrame): number {
  return payload.length < 2 ? 1005 : payload.readUInt16BE(0)
}

function wordsOf(expected: Expected): string {
  if (expected.kind === 'close') return `a close with ${expected.code}`
  return 'payload' in expected ? `${expected.kind} ${expected.payload.subarray(0, 40).toString()}` : expected.kind
}

function describe(frame: HeardFrame): string {
  if (frame.opcode === CLOSE) return `a close with ${codeOf(frame)} ${frame.payload.toString('utf8', 2)}`
  return `opcode ${frame.opcode} ${frame.payload.subarray(0, 80).toString()}`
}
