import type { Delivery } from '../../src/core/delivery-store.ts'
import type { Running } from './app.ts'
import { createTestClock, type TestClock } from './clock.ts'
import { waitFor } from './wait.ts'

/** A clock that stands still at the real time, which receivers compare signatures with. */
export function stoppedClock(): TestClock {
  return createTestClock(Math.floor(Date.now() / 1000))
}

/** Waits until an event waits for a further try, and lets time pass up to it; gives what waited. */
export async function passToNextTry({ lactea }: Running, clock: TestClock): Promise<Delivery> {
  const { store } = lactea.gateway
  let next: Delivery | undefined
  await waitFor(async () => {
    const targets = await store.listTargets()
    const rows = await Promise.all(targets.map(({ id }) => store.listDeliveries(id, 'waiting', { limit: 1000 })))
    next = rows
      .flat()
      .filter(({ nextAt }) => nextAt > clock.now())
      .toSorted((a, b) => a.nextAt - b.nextAt)[0]
    return next !== undefined
  }, 'an event that is tried again later')
  if (!next) throw new Error('nothing waits')
  clock.advance((next.nextAt - clock.now()) * 1000)
  return next
}
