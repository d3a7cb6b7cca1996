import type { Bench } from './lib/bench.ts'
import { durableSend } from './durable-send.ts'
import { fanOutBenches } from './fan-out.ts'
import { growthBenches } from './growth.ts'
import { httpBenches } from './http.ts'
import { maimBenches } from './maim.ts'
import { memoryBenches } from './memory.ts'
import { peopleBenches } from './people.ts'
import { startup } from './startup.ts'
import { webhooks } from './webhooks.ts'
import { wsCallBenches } from './ws-calls.ts'

/** In the order in which they run. */
export const listBenches = ({ people }: { readonly people: number }): readonly Bench[] => [
  ...httpBenches,
  ...wsCallBenches,
  ...fanOutBenches,
  ...peopleBenches(people),
  ...maimBenches,
  durableSend,
  webhooks,
  ...memoryBenches,
  startup,
  ...growthBenches
]
