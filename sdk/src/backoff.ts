/**
 * Milliseconds to wait before try number `attempt` (1 is the first retry): doubling from `firstMs` to `maxMs`, of which a
 * random half to whole is taken, so that many that failed together do not come back together.
 */
export function backoff(
  attempt: number,
  { firstMs, maxMs }: { firstMs: number; maxMs: number },
  random = Math.random
): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(ceiling * (0.5 + random() / 2))
}
