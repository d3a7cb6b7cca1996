import { fileURLToPath } from 'node:url'
import type { Bench, Figures } from './lib/bench.ts'
import { makeDir, measure, startChild, type Load } from './lib/child.ts'

const WORKER = fileURLToPath(new URL('./lib/durable.ts', import.meta.url))

export const durableSend: Bench = {
  name: 'durable-send',
  what: 'chats.send without a door, 64 in flight, beside bare group commits of 64 rows',
  figure: 'perSecond',
  goals: [
    { figure: 'ratio', atLeast: 0.35, says: '≥ 0.35 × bare rows' },
    { figure: 'perSecond', atLeast: 15_000, says: '≥ 15 000 /s on the machine the goals were set on' }
  ],
  async prepare() {
    const child = startChild([WORKER, makeDir()])
    const run =
      (what: string) =>
      (seconds: number): Promise<Figures> =>
        measure(child, () => child.ask<Load>(what, seconds))
    return {
      service: run('send'),
      bare: run('commitRows'),
      close: () => child.stop()
    }
  }
}
