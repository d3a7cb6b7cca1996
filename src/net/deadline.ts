/**
 * Runs something that can be cut off: after `ms` milliseconds, or when `outer` ends. Nothing stays behind when it is done;
 * `AbortSignal.any` and `AbortSignal.timeout` would leave a reference and a timer per call until the time is over.
 */
export async function withDeadline<T>(
  { ms, outer }: { ms: number; outer: AbortSignal },
  run: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  const controller = new AbortController()
  const cut = (): void => controller.abort(outer.reason)
  const timer = setTimeout(() => controller.abort(new Error(`it took more than ${ms} ms`)), ms)
  outer.addEventListener('abort', cut, { once: true })
  try {
    if (outer.aborted) cut()
    return await run(controller.signal)
  } finally {
    clearTimeout(timer)
    outer.removeEventListener('abort', cut)
  }
}
