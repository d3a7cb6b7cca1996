import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { waitFor } from '../helpers/wait.ts'
import { readPage, root } from './markdown.ts'

t.test('the program of docs/milky.md hears what happened while it was not there', async (t) => {
  const [, program = ''] = /^```js\n(\/\/ echo\.mjs[^]*?)^```$/m.exec(readPage('docs/milky.md')) ?? []
  const cwd = makeDirectory(t)
  symlinkSync(`${root}node_modules`, join(cwd, 'node_modules'))
  writeFileSync(join(cwd, 'echo.mjs'), program)
  const app = await startApp(t)
  const cursor = join(cwd, 'cursor.txt')

  /** Runs it until it has heard so many events. */
  async function hear(count: number, meanwhile: () => Promise<unknown>): Promise<string[]> {
    const child = spawn(process.execPath, ['echo.mjs', `${app.ws}/event`, 'token-two'], { cwd })
    const closed = once(child, 'close')
    t.teardown(() => child.kill('SIGKILL'))
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
    await waitFor(() => existsSync(cursor))
    await meanwhile()
    await waitFor(() => said.split('\n').length > count)
    // What was heard is remembered right after it was printed.
    const last = String(await app.lactea.gateway.store.lastEventId())
    await waitFor(() => readFileSync(cursor, 'utf8') === last)
    child.kill('SIGKILL')
    await closed
    return said.trimEnd().split('\n')
  }

  t.match(await hear(1, () => say(app, 'one')), [/^message_receive .*"one"/])
  await say(app, 'two')
  await say(app, 'three')
  t.match(await hear(2, async () => {}), [/"two"/, /"three"/])
})

const say = (app: Running, words: string) =>
  app.milky('token-one', 'send_group_message', { group_id: 100001, message: text(words) })
