/** How often it is looked whether the event loop goes round. */
export const LOOK_EVERY_MS = 100
/** So late is no turn of the event loop that had much to do. */
const STANDSTILL_MS = 1800
/** What has piled up is sent away for so long, and with it most of what nobody waits for any more. */
const RELIEF_MS = 1000

/**
 * Says whether the event loop goes round; to be asked every `LOOK_EVERY_MS`. After a standstill it says no for a moment: a
 * mean over a while, which is what else there is, hardly notices one.
 */
export function createStandstillCheck(ticks: () => number = () => performance.now()): () => Promise<boolean> {
  /** What happens while everything is being loaded does not count. */
  let looks = 0
  let last = ticks()
  let reliefEndsAt = -Infinity
  return async () => {
    const now = ticks()
    if (++looks > 2 && now - last >= STANDSTILL_MS) reliefEndsAt = now + RELIEF_MS
    last = now
    return now >= reliefEndsAt
  }
}
