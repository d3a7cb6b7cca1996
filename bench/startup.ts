import type { Bench } from './lib/bench.ts'
import { startService } from './lib/service.ts'

export const startup: Bench = {
  name: 'startup',
  what: 'from nothing to the first answer of /health, with an empty database',
  figure: 'ms',
  isCold: true,
  goals: [
    {
      figure: 'ms',
      atMost: 500,
      says: '≤ 500 ms',
      inTheWay:
        'Loading and linking a thousand modules, a fifth of them of TypeBox, is most of it; it is nothing but computing, and takes twice as long on a machine of half the speed.'
    }
  ],
  async prepare() {
    return { service: timeStart, close: async () => {} }
  }
}

async function timeStart() {
  const begunAt = performance.now()
  const { child, port } = await startService({ isProbed: false })
  const response = await fetch(`http://127.0.0.1:${port}/health`)
  const ms = performance.now() - begunAt
  if (!response.ok) throw new Error(`/health answered ${response.status}`)
  await child.stop()
  return { ms }
}
