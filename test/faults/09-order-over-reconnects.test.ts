import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'
import { startProxy } from './lab/proxy.ts'
import { createReader, flood, PAIR, pairConfig } from './lab/reader.ts'

const GROUPS = 20

fault({
  number: 9,
  title: 'order over forced reconnects',
  mark: '100 000 events to a WS bot over 20 chats: per chat `event_seq` strictly +1, **0** gaps, **0** inversions; also over 50 forced reconnects with resume.',
  fullMs: 300_000,
  async run({ t, size, figure }) {
    const [events, cuts] = [size(3000, 100_000), size(6, 50)]
    const dir = makeDirectory(t, pairConfig(GROUPS))
    const service = await startService(t, dir)
    const proxy = await startProxy(t, Number(new URL(service.url).port))
    const cut = createReader(t, { url: () => proxy.url('ws'), token: PAIR.listener })
    const whole = createReader(t, { url: () => service.ws, token: PAIR.listener })
    await Promise.all([cut.start(), whole.start()])

    // Cut in the middle of what comes, evenly over all of it.
    let isOver = false
    async function cutOff(): Promise<void> {
      for (let count = 1; count <= cuts; count++) {
        await waitFor(
          () => isOver || (cut.heard() >= (events / (cuts + 1)) * count && proxy.open() > 0),
          'the next cut',
          300_000
        )
        proxy.cut()
      }
    }
    const cutting = cutOff()
    await flood({ url: service.url, token: PAIR.speaker, groups: GROUPS, count: events })
    await waitFor(() => cut.heard() >= events && whole.heard() >= events, 'everything to be heard', 120_000)
    await cutting
    isOver = true

    figure('forced reconnects', cut.connections() - 1, { atLeast: cuts })
    figure('events heard over the reconnects', cut.heard(), { is: events })
    figure('gaps', cut.gaps() + whole.gaps(), { is: 0 })
    figure('inversions and repeats', cut.inversions() + whole.inversions(), { is: 0 })
    figure('resumes that were told something is missing', cut.broken(), { is: 0 })
    figure('events heard without a cut', whole.heard(), { is: events })
  }
})
