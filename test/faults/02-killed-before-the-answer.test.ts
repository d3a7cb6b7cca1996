import { world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { fault } from './lab/fault.ts'
import { preload, readSaid, send, type Sent } from './lab/keyed-sends.ts'

/** Calls that one kill leaves without an answer. */
const AT_ONCE = 40

fault({
  number: 2,
  title: 'kill -9 between the commit and the answer',
  mark: 'kill -9 between DB commit and HTTP answer, client retries with the same key: 1 message, same `message_id`, 1 000/1 000',
  async run({ t, size, figure }) {
    const kills = size(2, 25)
    const cwd = makeDirectory(t, { ...world, log: { level: 'error' } })
    const answers: Sent[] = []
    let keys: string[] = []

    for (let round = 1; round <= kills; round++) {
      const service = await startService(t, cwd, [], { nodeArgs: preload('die-before-answers', { count: AT_ONCE }) })
      answers.push(...(await retry(service.url, keys)))
      keys = Array.from({ length: AT_ONCE }, (_, index) => `${round}-${index}`)
      const lost = await Promise.all(keys.map((key) => send(service.url, key, true)))
      t.equal(lost.filter((answer) => answer === undefined).length, AT_ONCE, 'nobody was answered')
      t.equal((await service.exited).signal, 'SIGKILL')
    }
    const service = await startService(t, cwd)
    answers.push(...(await retry(service.url, keys)))
    const again = await retry(service.url, keys)
    t.strictSame(again, answers.slice(-AT_ONCE), 'a second retry is answered as the first')

    const said = await readSaid(service)
    const isRight = ({ key, messageId, isReplay }: Sent): boolean =>
      isReplay && said.get(key)?.length === 1 && said.get(key)?.[0] === messageId
    figure('calls without an answer', answers.length, { atLeast: kills * AT_ONCE })
    figure('of them not exactly one message with the answered id', answers.filter((sent) => !isRight(sent)).length, {
      is: 0
    })
    figure('messages that nobody asked for', said.size - answers.length, { is: 0 })
  }
})

async function retry(url: string, keys: readonly string[]): Promise<Sent[]> {
  const answers = await Promise.all(keys.map((key) => send(url, key)))
  return answers.filter((answer) => answer !== undefined)
}
