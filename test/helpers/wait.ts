import { setTimeout as delay } from 'node:timers/promises'

/** How long something may take on a busy machine until it is told what was waited for. */
const PATIENCE_MS = 30_000

/** Resolves when it holds; for what gives no sign of itself. Rejects when it takes too long. */
export async function waitFor(
  holds: () => boolean | Promise<boolean>,
  what = String(holds),
  patienceMs = PATIENCE_MS
): Promise<void> {
  for (const endsAt = performance.now() + patienceMs; performance.now() < endsAt;) {
    if (await holds()) return
    await delay(5)
  }
  throw new Error(`waited in vain for ${what}`)
}
