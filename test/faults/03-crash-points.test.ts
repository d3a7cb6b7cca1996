import { world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'
import { preload, readSaid, send, type Sent } from './lab/keyed-sends.ts'

/** More steps than any call has. */
const END = 5000

fault({
  number: 3,
  title: 'the process ends at every step between accept and answer',
  mark: 'Crash-point sweep: process exits at every await between accept and answer (injected): 0 accepted-but-missing, 0 answered-but-absent',
  fullMs: 240_000,
  async run({ t, size, figure }) {
    const hook = await startWebhook(t)
    const [one, two] = world.bots
    const bots = [one, { ...two, webhooks: [{ url: hook.url }] }]
    const cwd = makeDirectory(t, { ...world, bots, log: { level: 'error' } })
    const stride = size(12, 1)
    const answered: Sent[] = []
    const replayed: string[] = []
    let retried = 0
    let crashes = 0
    let lost: string | undefined

    for (let at = 1; at < END; at += stride) {
      const service = await startService(t, cwd, [], { nodeArgs: preload('die-at-step', { at }) })
      await retryLost(service.url)
      const key = `step ${at}`
      const sent = await send(service.url, key, true)
      if (sent) {
        answered.push(sent)
        await service.kill('SIGKILL')
        break
      }
      await service.exited
      lost = key
      crashes++
    }
    const service = await startService(t, cwd)
    await retryLost(service.url)

    async function retryLost(url: string): Promise<void> {
      if (lost === undefined) return
      const sent = await send(url, lost)
      if (!sent) return
      retried++
      answered.push(sent)
      if (sent.isReplay) replayed.push(sent.key)
      lost = undefined
    }

    const said = await readSaid(service)
    const told = (): Set<string> => new Set(hook.all.map(({ body }) => body.data.segments[0].data.text as string))
    await waitFor(() => told().size >= said.size, 'the webhook to hear of everything')
    const heard = told()
    const isAbsent = ({ key, messageId }: Sent): boolean => !said.get(key)?.includes(messageId)

    figure('crashes', crashes, { atLeast: size(3, 40) })
    figure('of them after the commit', replayed.length, { atLeast: size(0, 1) })
    figure('retries that were not answered', crashes - retried, { is: 0 })
    figure('accepted but missing', [...said.keys()].filter((words) => !heard.has(words)).length, { is: 0 })
    figure('answered but absent', answered.filter(isAbsent).length, { is: 0 })
    figure('done twice', [...said.values()].filter((ids) => ids.length > 1).length, { is: 0 })
  }
})
