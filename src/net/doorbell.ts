import { connect, type LookupFunction } from 'node:net'
import type { Undo } from '../core/bus.ts'
import type { Clock } from '../core/clock.ts'

export interface DoorbellOptions {
  readonly url: string
  /** Where names may lead; that of the system when absent. */
  readonly lookup?: LookupFunction | undefined
  readonly clock: Pick<Clock, 'after'>
  /** Somebody listens there again. */
  readonly onOpen: () => void
}

/** Looks every half a minute whether somebody listens at an address where nobody did. */
export interface Doorbell {
  /** Begins; once is enough. Ends by itself when somebody is there. */
  readonly ring: () => void
  readonly rest: () => void
}

const EVERY_MS = 30_000
const PATIENCE_MS = 5000
/** Errors of a connection that was never made. */
const CLOSED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT'
])

/** Nobody was there to be told anything: it costs them nothing to be looked for more often than they are told. */
export function isClosedDoor(err: unknown): boolean {
  return CLOSED.has((err as { code?: string }).code ?? '')
}

/** A connection is opened and closed, nothing is said: a receiver that only was restarted need not wait for its next try. */
export function createDoorbell({ url, lookup, clock, onOpen }: DoorbellOptions): Doorbell {
  const { hostname, port, protocol } = new URL(url)
  const address = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || (protocol === 'https:' ? 443 : 80),
    ...(lookup && { lookup })
  }
  let cancel: Undo | undefined

  function dial(): void {
    const socket = connect(address)
    const end = (isOpen: boolean): void => {
      socket.destroy()
      if (cancel !== hangUp) return
      cancel = undefined
      if (isOpen) onOpen()
      else ring()
    }
    const hangUp = (): void => void socket.destroy()
    cancel = hangUp
    socket.unref()
    socket.setTimeout(PATIENCE_MS, () => end(false))
    socket.once('connect', () => end(true))
    socket.on('error', () => end(false))
  }

  function ring(): void {
    cancel ??= clock.after(EVERY_MS, dial)
  }

  return {
    ring,
    rest() {
      cancel?.()
      cancel = undefined
    }
  }
}
