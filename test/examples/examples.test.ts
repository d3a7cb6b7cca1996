import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { text as readAll } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startApp, world, type Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))

/** An example in a process of its own, gone when the test ends. `line` waits for the next line it prints that fits. */
function startExample(t: Test, name: string, env: Record<string, string>, ...args: string[]) {
  // As a stranger runs it: spawned directly, it would get the hooks of the test runner.
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`)
  const child = spawn('env', ['-i', ...variables, process.execPath, folder + name, ...args], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  t.teardown(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const line = async (fits: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error(`${name} ended without saying ${fits}`)
      const match = fits.exec(String(value))
      if (match) return match
    }
  }
  return Object.assign(line, { type: (words: string) => child.stdin.write(`${words}\n`) })
}

async function startListening(t: Test, name: string, env: Record<string, string> = {}): Promise<string> {
  const [, port = ''] = await startExample(t, name, { ...env, PORT: '0' })(/^listening .*port: (\d+)/)
  return `127.0.0.1:${port}`
}

/** Alice at the people's door; the greeting is taken already. */
async function signInAlice(t: Test, app: Running): Promise<TestSocket> {
  const alice = await openSocket(t, `${app.ws}/ws?token=${await app.signIn('alice', 'alice-secret')}`)
  await alice.next()
  return alice
}

/** The next messages that Alice hears, as [who, what]. */
async function hear(alice: TestSocket, count: number): Promise<[number, string][]> {
  const heard: [number, string][] = []
  while (heard.length < count) {
    const { type, payload } = await alice.next()
    if (type === 'message.new') heard.push([payload.message.sender_id, payload.message.content])
  }
  return heard
}

function say(alice: TestSocket, place: object, content: string): void {
  alice.send({ type: 'message.send', payload: { ...place, content } })
}

const toBotOne = { receiver_id: 10001 }
const inGroup = { chat_id: 100001 }

t.test('echo-bot.ts', async (t) => {
  t.test('answers a person', async (t) => {
    const app = await startApp(t)
    const line = startExample(t, 'echo-bot.ts', { MILKY_URL: `${app.ws}/`, MILKY_TOKEN: 'token-one' })
    const alice = await signInAlice(t, app)
    await line(/^connected$/)
    say(alice, toBotOne, 'hello')
    t.strictSame(await hear(alice, 2), [
      [10011, 'hello'],
      [10001, 'echo: hello']
    ])
  })

  t.test('comes back when its connection is cut', async (t) => {
    const app = await startApp(t)
    const line = startExample(t, 'echo-bot.ts', { MILKY_URL: `${app.ws}/`, MILKY_TOKEN: 'token-one' })
    await line(/^connected$/)
    for (const socket of app.lactea.app.websocketServer.clients) socket.terminate()
    await line(/^not connected/)
    await line(/^connected$/)
    const alice = await signInAlice(t, app)
    say(alice, toBotOne, 'still there?')
    t.strictSame(await hear(alice, 2), [
      [10011, 'still there?'],
      [10001, 'echo: still there?']
    ])
  })

  t.test(
    'answers a person in a group once, however many bots are there, and hears its own words in peace',
    async (t) => {
      const app = await startApp(t, { config: { bots: world.bots.map((bot) => ({ ...bot, report_self: true })) } })
      const alice = await signInAlice(t, app)
      const lines = ['token-one', 'token-two'].map((MILKY_TOKEN) =>
        startExample(t, 'echo-bot.ts', { MILKY_URL: `${app.ws}/`, MILKY_TOKEN })
      )
      for (const line of lines) await line(/^connected$/)
      // Both bots have heard the first round before the second begins: an answer to an answer would be among these.
      for (const words of ['hello', 'again']) {
        say(alice, inGroup, words)
        const heard = await hear(alice, 3)
        t.strictSame(
          heard.toSorted(([a], [b]) => a - b),
          [
            [10001, `echo: ${words}`],
            [10002, `echo: ${words}`],
            [10011, words]
          ]
        )
      }
    }
  )
})

t.test('webhook-bot.ts', async (t) => {
  const address = await startListening(t, 'webhook-bot.ts')
  const bots = [{ ...world.bots[0], webhooks: [{ url: `http://${address}/` }] }, world.bots[1]]
  const app = await startApp(t, { config: { bots } })
  const alice = await signInAlice(t, app)

  for (const place of [toBotOne, inGroup]) {
    say(alice, place, 'hello')
    t.strictSame(await hear(alice, 2), [
      [10011, 'hello'],
      [10001, 'echo: hello']
    ])
  }

  const nonsense = await fetch(`http://${address}/`, { method: 'POST', body: '{' })
  t.equal(nonsense.status, 204, 'takes what it cannot read, so that it does not come again')
})

t.test('reverse-bot.ts', async (t) => {
  const address = await startListening(t, 'reverse-bot.ts', { MILKY_TOKEN: 'r&=1' })
  await t.rejects(openSocket(t, `ws://${address}/`), new Error('refused with 401'), 'lets nobody in without the token')
  await t.rejects(openSocket(t, `ws://${address}/?access_token=wrong`), new Error('refused with 401'))

  const bots = [{ ...world.bots[0], reverse_ws: [{ url: `ws://${address}/`, access_token: 'r&=1' }] }, world.bots[1]]
  const app = await startApp(t, { config: { bots } })
  const alice = await signInAlice(t, app)
  for (const place of [toBotOne, inGroup]) {
    say(alice, place, 'hello')
    t.strictSame(await hear(alice, 2), [
      [10011, 'hello'],
      [10001, 'echo: hello']
    ])
  }
})

t.test('curl.sh', async (t) => {
  const app = await startApp(t)
  const alice = await signInAlice(t, app)

  async function run(env: Record<string, string>, ...args: string[]) {
    const { PATH = '' } = process.env
    const child = spawn('sh', [`${folder}curl.sh`, ...args], { env: { PATH, ...env } })
    const [output, errors, [code]] = await Promise.all([
      readAll(child.stdout),
      readAll(child.stderr),
      once(child, 'close') as Promise<[number]>
    ])
    return { output, errors, code }
  }

  t.test('says hello and shows the history', async (t) => {
    const { output, code } = await run({ MILKY_URL: app.url, MILKY_TOKEN: 'token-one' }, '10011')
    t.equal(code, 0)
    const [sent, history] = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { data: { message_id: string; messages: object[] } })
    t.equal(sent?.data.message_id, 'Private:10011:1')
    t.match(history?.data.messages, [
      { message_id: 'Private:10011:1', user_id: 10001, segments: [{ data: { text: 'Hello from curl' } }] }
    ])
    t.strictSame(await hear(alice, 1), [[10001, 'Hello from curl']])
  })

  t.test('shows why it was refused and fails', async (t) => {
    const { output, code } = await run({ MILKY_URL: app.url, MILKY_TOKEN: 'wrong' }, '10011')
    t.not(code, 0)
    t.match(JSON.parse(output), { status: 'failed', retcode: -403 })
  })

  t.test('asks for whom to write to', async (t) => {
    const { errors, code } = await run({ MILKY_URL: app.url, MILKY_TOKEN: 'token-one' })
    t.not(code, 0)
    t.match(errors, 'say to whom')
  })
})

t.test('event-bot.ts answers, also what was said while it was cut off', async (t) => {
  const app = await startApp(t)
  const line = startExample(t, 'event-bot.ts', { MILKY_URL: app.url, MILKY_TOKEN: 'token-one' })
  const alice = await signInAlice(t, app)
  await line(/^connected$/)
  for (const [place, words] of [
    [toBotOne, 'hello'],
    [inGroup, 'hello all']
  ] as const) {
    say(alice, place, words)
    t.strictSame(await hear(alice, 2), [
      [10011, words],
      [10001, `echo: ${words}`]
    ])
  }
  const { port } = new URL(app.url)
  const { dir } = app
  await line(/"ok"/)
  await app.lactea.app.close()
  await line(/^not connected/)
  const again = await startApp(t, { dir, port: Number(port) })
  const back = await signInAlice(t, again)
  say(back, toBotOne, 'still there?')
  await line(/^connected$/)
  t.strictSame(await hear(back, 2), [
    [10011, 'still there?'],
    [10001, 'echo: still there?']
  ])
})

const maimKeys = (chats: boolean) => ({
  keys: [
    { api_key: 'key-of-the-brain', account: 10001, chats },
    { api_key: 'key-of-the-adapter', account: 10001, chats: false }
  ]
})

t.test('echo-brain.ts', async (t) => {
  const startBrain = (app: Running) =>
    startExample(t, 'echo-brain.ts', { MAIM_URL: `${app.ws}/maim/ws`, MAIM_KEY: 'key-of-the-brain' })

  t.test('answers a person, in a group when it is mentioned, also what was said while it was cut off', async (t) => {
    const app = await startApp(t, { config: { maim: maimKeys(true) } })
    const line = startBrain(app)
    await line(/^connected$/)
    const alice = await signInAlice(t, app)
    say(alice, toBotOne, 'hello')
    t.strictSame(await hear(alice, 2), [
      [10011, 'hello'],
      [10001, 'echo: hello']
    ])
    say(alice, inGroup, 'to nobody')
    const message = [
      { type: 'mention', data: { user_id: 10001 } },
      { type: 'text', data: { text: ' you?' } }
    ]
    await app.milky('token-two', 'send_group_message', { group_id: 100001, message })
    t.strictSame(await hear(alice, 3), [
      [10011, 'to nobody'],
      [10002, '@One you?'],
      [10001, 'echo:  you?']
    ])

    const { port } = new URL(app.url)
    await app.lactea.app.close()
    await line(/^not connected/)
    const again = await startApp(t, { dir: app.dir, port: Number(port), config: { maim: maimKeys(true) } })
    const back = await signInAlice(t, again)
    say(back, toBotOne, 'still there?')
    t.strictSame(await hear(back, 2), [
      [10011, 'still there?'],
      [10001, 'echo: still there?']
    ])
  })

  t.test('answers maim-adapter.ts, also when it comes later', async (t) => {
    const app = await startApp(t, { config: { maim: maimKeys(false) } })
    const env = { MAIM_URL: `${app.ws}/maim/ws`, MAIM_KEY: 'key-of-the-adapter' }
    const adapter = startExample(t, 'maim-adapter.ts', env)
    await adapter(/^connected$/)
    adapter.type('hello')
    adapter.type('are you there?')
    const line = startBrain(app)
    await line(/^connected$/)
    await adapter(/^echo: hello$/)
    await adapter(/^echo: are you there\?$/)
  })
})

t.test('every example has less than 40 lines', async (t) => {
  for (const name of readdirSync(folder)) {
    t.ok(readFileSync(folder + name, 'utf8').split('\n').length - 1 < 40, name)
  }
})

t.test('person.ts', async (t) => {
  const env = (app: Running, name: string) => ({
    LACTEA_URL: app.url,
    LACTEA_USER: name,
    LACTEA_PASSWORD: `${name}-secret`
  })

  t.test('says what is typed, and prints what is heard', async (t) => {
    const app = await startApp(t)
    const person = startExample(t, 'person.ts', env(app, 'alice'), '10001')
    // At once: it waits until there is a connection.
    person.type('hello')
    await person(/^{"type":"connect","payload":{"status":"connected","user_id":10011,/)
    const [, id] = await person(/^{"type":"message.new","payload":{"message":{"id":(\d+),.*"content":"hello"/)
    person.type(`{"type":"message.edit","payload":{"message_id":${id},"content":"hello there"}}`)
    await person(/^{"type":"message.edit",.*"content":"hello there"/)
    const message = [{ type: 'text', data: { text: 'are you there?' } }]
    await app.call('token-one', 'send_private_message', { user_id: 10011, message })
    await person(/"sender_id":10001,"content":"are you there\?"/)
  })

  t.test('hears what was said while the gateway was away', async (t) => {
    const dir = makeDirectory(t)
    const before = await startApp(t, { dir })
    const { port } = new URL(before.url)
    const person = startExample(t, 'person.ts', env(before, 'alice'), '100001')
    await person(/^{"type":"connect"/)
    await before.lactea.app.close()
    await person(/^not connected \(1001/)
    const after = await startApp(t, { dir, port: Number(port) })
    await after.call('token-one', 'send_group_message', {
      group_id: 100001,
      message: [{ type: 'text', data: { text: 'welcome back' } }]
    })
    await person(/"content":"welcome back"/)
  })

  t.test('ends with a sentence when the password is wrong', async (t) => {
    const app = await startApp(t)
    const failed = spawn(process.execPath, [`${folder}person.ts`], {
      env: { LACTEA_URL: app.url, LACTEA_USER: 'alice', LACTEA_PASSWORD: 'wrong' },
      stdio: ['ignore', 'ignore', 'pipe']
    })
    t.match(await readAll(failed.stderr), /the gateway does not let you in: /)
  })
})
