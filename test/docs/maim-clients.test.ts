import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'
import { blocksOf, readPage } from './markdown.ts'

const KEY = 'replace-me-key-of-the-brain'
const page = readPage('docs/maim.md')
const python = process.env['LACTEA_TEST_PYTHON']
const java = process.env['LACTEA_TEST_JAVA']
const noPython = python === undefined && 'LACTEA_TEST_PYTHON is not the path of a Python that has websockets'
const noJava = java === undefined && 'LACTEA_TEST_JAVA is not the path of java'

/** The block below a heading of the page, for a gateway at another address. */
function exampleBelow(heading: string, app: Running): string {
  const [, below = ''] = page.split(`\n### ${heading}\n`)
  const [block] = blocksOf(below)
  if (!block) throw new Error(`there is no example below "${heading}"`)
  return block.text.replace('ws://127.0.0.1:3000', app.ws)
}

function start(t: Test, dir?: string, port?: number): Promise<Running> {
  const config = { maim: { keys: [{ api_key: KEY, account: 10001 }] } }
  return startApp(t, { config, ...(dir !== undefined && { dir }), ...(port !== undefined && { port }) })
}

interface Program {
  readonly lines: string[]
  readonly type: (words: string) => void
}

function run(t: Test, command: string, name: string, source: string): Program {
  const file = join(makeDirectory(t), name)
  writeFileSync(file, source)
  const child = spawn(command, [file], { stdio: ['pipe', 'pipe', 'pipe'] })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => lines.push(line))
  t.teardown(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  return { lines, type: (words) => child.stdin.write(`${words}\n`) }
}

async function signIn(t: Test, app: Running): Promise<TestSocket> {
  const alice = await openSocket(t, `${app.ws}/ws?token=${await app.signIn('alice', 'alice-secret')}`)
  await alice.next()
  return alice
}

const say = (alice: TestSocket, place: object, content: string): void =>
  alice.send({ type: 'message.send', payload: { ...place, content } })

/** The next words of the bot. */
async function hearBot(alice: TestSocket): Promise<string> {
  for (;;) {
    const { type, payload } = await alice.next()
    if (type === 'message.new' && payload.message.sender_id === 10001) return payload.message.content
  }
}

/** The program answers, in groups only when it is mentioned, and goes on after a restart of the gateway. */
async function tryEchoBrain(t: Test, command: string, name: string, heading: string, prefix = ''): Promise<void> {
  const dir = makeDirectory(t)
  const before = await start(t, dir)
  const program = run(t, command, name, prefix + exampleBelow(heading, before))
  const alice = await signIn(t, before)
  // What was said before it was there is not told, so it has to be there.
  await waitFor(() => before.lactea.gateway.devices.has(10001))
  const words = 'Grüße: "quoted" \\ 👍\nand a second line'
  say(alice, { receiver_id: 10001 }, words)
  t.equal(await hearBot(alice), `echo: ${words}`)

  say(alice, { chat_id: 100001 }, 'to nobody')
  const mention = { type: 'mention', data: { user_id: 10001 } }
  await before.milky('token-two', 'send_group_message', { group_id: 100001, message: [mention, ...text(' and you?')] })
  t.equal(await hearBot(alice), 'echo:  and you?')

  const port = Number(new URL(before.url).port)
  await before.lactea.app.close()
  const after = await start(t, dir, port)
  const back = await signIn(t, after)
  say(back, { receiver_id: 10001 }, 'still there?')
  t.equal(await hearBot(back), 'echo: still there?')
  t.notMatch(program.lines.join('\n'), /Error|Traceback|Exception in/)
}

t.test('the brain in JavaScript', (t) => tryEchoBrain(t, process.execPath, 'client.mjs', 'JavaScript'))

t.test('the brain in JavaScript where there is no Node, as in a browser', (t) =>
  tryEchoBrain(t, process.execPath, 'client.mjs', 'JavaScript', 'delete globalThis.process\n')
)

t.test('the brain in Python', { skip: noPython }, (t) => tryEchoBrain(t, String(python), 'client.py', 'Python'))

t.test('the legacy brain in Python', { skip: noPython }, (t) =>
  tryEchoBrain(t, String(python), 'client.py', 'The legacy dialect')
)

t.test('the program in Java', { skip: noJava }, async (t) => {
  const dir = makeDirectory(t)
  const before = await start(t, dir)
  const program = run(t, String(java), 'MaimClient.java', exampleBelow('Java', before))
  const alice = await signIn(t, before)
  const words = 'Grüße: "quoted" \\ 👍'
  program.type(words)
  t.equal(await hearBot(alice), words)

  const port = Number(new URL(before.url).port)
  await before.lactea.app.close()
  program.type('said meanwhile')
  const after = await start(t, dir, port)
  const back = await signIn(t, after)
  t.equal(await hearBot(back), 'said meanwhile')
  say(back, { receiver_id: 10001 }, 'do you hear me?')
  await waitFor(() => program.lines.some((line) => line.includes('do you hear me?')))
})
