import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { makeDirectory } from './directory.ts'

/** Chromium or a relative of it. Without this variable tests that need a browser are skipped. */
export const browserPath = process.env.LACTEA_TEST_BROWSER

/** One page, by itself: no tab shares storage or network with another. */
export interface Tab {
  /** Evaluates a JavaScript expression in the page, waits for it when it is a promise, and gives its value. */
  readonly run: (expression: string) => Promise<any>
  /** Until the expression is true. */
  readonly until: (expression: string) => Promise<void>
  readonly reload: () => Promise<void>
  readonly setOffline: (isOffline: boolean) => Promise<void>
  /** Mistakes that the page has made, and what its security policy has refused. */
  readonly complaints: readonly string[]
}

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--no-first-run',
  // A camera and a microphone, without asking.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  '--remote-debugging-port=0'
]

/** How often the page looks whether something is so. */
const LOOK_MS = 20

/** A browser of its own, driven over the DevTools protocol; gone when the test ends. Gives how to open a tab. */
export async function startBrowser(t: Test, path: string): Promise<(url: string) => Promise<Tab>> {
  const child = spawn(path, [...FLAGS, `--user-data-dir=${makeDirectory(t)}`], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return exited
  })
  const socket = new WebSocket(await findAddress(child.stderr))
  await once(socket, 'open')
  t.teardown(() => socket.terminate())

  let lastId = 0
  const calls = new Map<number, { resolve: (result: any) => void; reject: (err: Error) => void }>()
  const listeners = new Map<string, (method: string, params: any) => void>()
  socket.on('message', (data) => {
    const { id, result, error, method, params, sessionId } = JSON.parse(String(data)) as Record<string, any>
    if (id === undefined) return listeners.get(sessionId)?.(method, params)
    if (error) calls.get(id)?.reject(new Error(error.message))
    else calls.get(id)?.resolve(result)
    calls.delete(id)
  })

  function call(method: string, params: object = {}, sessionId?: string): Promise<any> {
    const id = ++lastId
    socket.send(JSON.stringify({ id, method, params, sessionId }))
    return new Promise((resolve, reject) => calls.set(id, { resolve, reject }))
  }

  return async (url) => {
    const { browserContextId } = await call('Target.createBrowserContext')
    const { targetId } = await call('Target.createTarget', { url: 'about:blank', browserContextId })
    const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true })
    const complaints: string[] = []
    let wake = (): void => {}
    listeners.set(sessionId, (method, params) => {
      if (method === 'Page.loadEventFired') wake()
      if (method === 'Runtime.exceptionThrown') complaints.push(params.exceptionDetails.exception?.description)
      if (method === 'Log.entryAdded' && params.entry.source === 'security') complaints.push(params.entry.text)
    })
    for (const domain of ['Runtime', 'Log', 'Network', 'Page']) await call(`${domain}.enable`, {}, sessionId)

    async function run(expression: string): Promise<any> {
      const asked = { expression, awaitPromise: true, returnByValue: true, userGesture: true }
      const { result, exceptionDetails } = await call('Runtime.evaluate', asked, sessionId)
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
      return result.value
    }
    const until = (expression: string): Promise<void> =>
      run(`new Promise((resolve) => {
        const look = () => { (${expression}) ? resolve() : setTimeout(look, ${LOOK_MS}) }
        look()
      })`)
    const setOffline = (offline: boolean): Promise<void> =>
      call(
        'Network.emulateNetworkConditions',
        { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 },
        sessionId
      )

    async function load(method: string, params: object): Promise<void> {
      const loaded = new Promise<void>((resolve) => (wake = resolve))
      await call(method, params, sessionId)
      await loaded
    }

    await load('Page.navigate', { url })
    return { run, until, reload: () => load('Page.reload', {}), setOffline, complaints }
  }
}

/** Where the browser says that it can be driven. */
function findAddress(stderr: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface(stderr)
      // It goes on printing, and what nobody reads would hold it up.
      .on('line', (line) => {
        const address = /^DevTools listening on (ws:\S+)/.exec(line)?.[1]
        if (address !== undefined) resolve(address)
      })
      .on('close', () => reject(new Error('the browser did not start')))
  })
}
