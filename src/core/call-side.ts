import type { Undo } from './bus.ts'
import type { Letter } from './call-letters.ts'
import type { Clock } from './clock.ts'
import type { Device } from './devices.ts'
import type { Signal } from './signal.ts'

/**
 * One side of a call: the device that speaks for it. When that device loses its connection its session may come back
 * with another one (IM-Suite 2.5); until then what it should hear is held.
 */
export interface CallSide {
  readonly accountId: number
  /** Whether the device speaks for this side. One of the same session that came later takes over by speaking. */
  readonly admits: (deviceId: string) => boolean
  readonly tell: (letter: Letter) => void
  readonly joined: (device: Device) => void
  readonly left: (device: Device) => void
  /** The call is over; only who is away now is still told so. */
  readonly leave: () => void
}

export interface CallSideOptions {
  readonly device: Device
  readonly after: Clock['after']
  /** How long a call waits for a device that is away. */
  readonly graceMs: number
  readonly tell: (signal: Signal) => void
  /** The grace is over. `isAway` says later whether the device still has not come. */
  readonly onLost: (isAway: () => boolean) => void
  /** Nothing is waited for any more. */
  readonly onDone: () => void
}

/** What is held for a device that is away: an answer and all the candidates that the other side may send. */
const MAX_HELD = 256

interface Absence {
  readonly held: Letter[]
  readonly undo: Undo
  isOverdue: boolean
}

export function createCallSide({ device, after, graceMs, tell, onLost, onDone }: CallSideOptions): CallSide {
  const { accountId } = device
  let bound = device
  /** Came while the bound device was there: clients come back before it is noticed that they were gone. */
  let successor: Device | undefined
  let absence: Absence | undefined
  let isOver = false

  /** A token without a session says no more than whose it is. */
  const isSame = (other: Device): boolean =>
    other.kind === 'person' &&
    other.accountId === accountId &&
    (bound.sessionId === undefined || other.sessionId === bound.sessionId)

  function send(letter: Letter): void {
    tell(letter({ audience: [accountId], onlyDevice: bound.id }))
  }

  function bind(next: Device): void {
    bound = next
    successor = undefined
    const held = absence?.held ?? []
    absence?.undo()
    absence = undefined
    for (const letter of held) send(letter)
    if (isOver) onDone()
  }

  function wait(): void {
    const own: Absence = {
      held: [],
      isOverdue: false,
      undo: after(graceMs, () => {
        own.isOverdue = true
        if (isOver) onDone()
        else onLost(() => absence === own)
      })
    }
    absence = own
  }

  return {
    accountId,
    admits(deviceId) {
      if (deviceId === successor?.id) bind(successor)
      return deviceId === bound.id
    },
    tell(letter) {
      if (!absence) send(letter)
      else if (absence.held.length < MAX_HELD) absence.held.push(letter)
    },
    joined(other) {
      if (!isSame(other)) return
      if (absence) bind(other)
      else successor = other
    },
    left(other) {
      if (other.id === successor?.id) successor = undefined
      if (other.id !== bound.id || absence) return
      if (successor) bind(successor)
      else wait()
    },
    leave() {
      isOver = true
      if (!absence || absence.isOverdue) onDone()
    }
  }
}
