import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import type { Load } from './child.ts'
import { maskedFrame, type RawSocket } from './raw-socket.ts'
import { createLatencies } from './stats.ts'

/** One device of somebody. All groups have equally many, and each person is in one. */
export interface Device {
  readonly socket: RawSocket
  /** From 0, as everything here. */
  readonly group: number
  readonly person: number
  /** Its place among the devices of its group. */
  readonly slot: number
  /** The one that its person writes and reads on. */
  readonly isMain: boolean
}

export interface ConversationOptions {
  readonly devices: readonly Device[]
  /** Chat of the first group; the others follow. */
  readonly firstGroup: number
  /** Messages in all groups together. */
  readonly perSecond: number
  /** Who writes says so before, and who gets a tenth message marks it as read. */
  readonly isBusy: boolean
}

/** How long a frame may take before it counts as lost. */
const PATIENCE_MS = 10_000
const TYPING_MS = 500
/** Of how many messages one is marked as read. */
const READ_EVERY = 10
const WORDS = 'People write short things to each other most of the time.'

const TYPE_AT = '{"type":"'.length
const MESSAGE = 'message.new"'
const MARK = Buffer.from('"content":"#')
const DIGITS = 8

/**
 * Lets people write to their groups at random moments, as many messages as they should, whether or not the others have
 * heard, and looks at what each device gets. Throws when a device hears what it should not, or an error.
 */
export function createConversation({ devices, firstGroup, perSecond, isBusy }: ConversationOptions) {
  const main = devices.filter(({ isMain }) => isMain)
  const perGroup = devices.filter(({ group }) => group === 0).length
  let first = 0

  return async (seconds: number): Promise<Load> => {
    const total = Math.max(1, Math.round(perSecond * seconds))
    const plan = createPlan(main, total, seconds * 1000, isBusy)
    const speakers: Device[] = []
    const saidAt = new Float64Array(total)
    const wasHeard = new Uint8Array(total * perGroup)
    const expected = total * perGroup
    const deliveries = createLatencies()
    const echoes = createLatencies()
    let heard = 0
    let frames = 0
    let lastAt = 0
    let mistake: Error | undefined

    function say({ device, isTyping }: Step): void {
      const chat_id = firstGroup + device.group
      if (isTyping) return device.socket.write(frameOf('typing', { chat_id, is_typing: true }))
      const index = speakers.push(device) - 1
      const content = `#${String(first + index).padStart(DIGITS, '0')} ${WORDS}`
      const frame = frameOf('message.send', { chat_id, content })
      saidAt[index] = performance.now()
      device.socket.write(frame)
    }

    function hear(device: Device, text: Buffer): void {
      frames++
      if (text.toString('latin1', TYPE_AT, TYPE_AT + MESSAGE.length) !== MESSAGE) return mustBeHarmless(text)
      const at = text.indexOf(MARK) + MARK.length
      const index = Number(text.toString('latin1', at, at + DIGITS)) - first
      // Of an earlier round; it was counted as lost there.
      if (index < 0) return
      const speaker = speakers[index]
      const seat = index * perGroup + device.slot
      if (speaker?.group !== device.group) throw new Error(`a device of group ${device.group} heard ${String(text)}`)
      if (wasHeard[seat]) throw new Error(`a device heard twice: ${String(text)}`)
      wasHeard[seat] = 1
      lastAt = performance.now()
      const ms = lastAt - (saidAt[index] ?? 0)
      deliveries.record(ms)
      if (speaker === device) echoes.record(ms)
      if (isBusy && index % READ_EVERY === 0 && device.isMain && speaker !== device) markRead(device, text)
      heard++
    }

    for (const device of devices) {
      device.socket.onText = (text) => {
        try {
          hear(device, text)
        } catch (err) {
          mistake ??= err as Error
        }
      }
    }
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const cpu = process.cpuUsage()
    const begunAt = performance.now()
    for (const step of plan) {
      // What is late already does not wait for a turn of its own.
      const early = begunAt + step.at - performance.now()
      if (early > 0) await wait(Math.ceil(early))
      say(step)
    }
    const endsAt = begunAt + seconds * 1000
    const isComplete = (): boolean => heard === expected && performance.now() >= endsAt
    while (!isComplete() && !mistake && performance.now() < endsAt + PATIENCE_MS) await wait(1)
    if (mistake) throw mistake
    const elapsedMs = performance.now() - begunAt
    const { user, system } = process.cpuUsage(cpu)
    delay.disable()
    first += total

    const { p50Ms: echoP50Ms, p99Ms: echoP99Ms } = echoes.read()
    return {
      count: heard,
      // Without the wait for what does not come.
      elapsedMs: Math.max(seconds * 1000, lastAt - begunAt),
      ...deliveries.read(),
      echoP50Ms,
      echoP99Ms,
      expectedPerSecond: expected / seconds,
      framesPerSecond: (frames / elapsedMs) * 1000,
      lost: expected - heard,
      // Near 1, or with stops as long as the latencies, the load generator is what is slow.
      loadShare: (user + system) / 1000 / elapsedMs,
      loadStopMs: delay.max / 1e6
    }
  }
}

interface Step {
  /** Milliseconds from the beginning. */
  readonly at: number
  readonly device: Device
  readonly isTyping: boolean
}

/** So many messages at random moments, by whomever. */
function createPlan(main: readonly Device[], total: number, ms: number, isBusy: boolean): readonly Step[] {
  const messages = Array.from({ length: total }, () => ({
    at: Math.random() * ms,
    device: main[Math.floor(Math.random() * main.length)] as Device,
    isTyping: false
  }))
  // Those of the first moments have typed before it began: all at once would be a burst that nobody makes.
  const typing = messages
    .filter(({ at }) => at >= TYPING_MS)
    .map(({ at, device }) => ({ at: at - TYPING_MS, device, isTyping: true }))
  return [...messages, ...(isBusy ? typing : [])].toSorted((a, b) => a.at - b.at)
}

function markRead({ socket }: Device, text: Buffer): void {
  const message_id = Number(/"id":(\d+)/.exec(text.toString('latin1', 0, 80))?.[1])
  socket.write(frameOf('message.read', { message_id }))
}

function mustBeHarmless(text: Buffer): void {
  const type = text.toString('latin1', TYPE_AT, TYPE_AT + 16)
  if (/^(error|disconnect)"/.test(type)) throw new Error(`a device was told ${String(text)}`)
}

function frameOf(type: string, payload: object): Buffer {
  return maskedFrame(JSON.stringify({ type, payload }))
}
