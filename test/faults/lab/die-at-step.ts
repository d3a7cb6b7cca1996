import { Server, ServerResponse } from 'node:http'
import { StatementSync } from 'node:sqlite'
import { promiseHooks } from 'node:v8'

// Runs inside the gateway, before it: counts every continuation of a promise and every order to the database between a
// request with `?doomed` and its answer, and dies on the spot just before number `at`.

const at = Number(new URL(import.meta.url).searchParams.get('at'))
let isArmed = false
let step = 0

function count(): void {
  if (isArmed && ++step === at) process.kill(process.pid, 'SIGKILL')
}

promiseHooks.onBefore(count)

const statements = StatementSync.prototype as unknown as Record<string, (...args: unknown[]) => unknown>
for (const name of ['run', 'get', 'all']) {
  const real = statements[name] as (...args: unknown[]) => unknown
  statements[name] = function (...args) {
    count()
    return real.apply(this, args)
  }
}

// oxlint-disable-next-line typescript/unbound-method -- called on the object it was called on
const { emit } = Server.prototype
Server.prototype.emit = function (this: Server, event: string | symbol, ...args: any[]) {
  if (event === 'request' && args[0].url.endsWith('?doomed')) isArmed = true
  return Reflect.apply(emit, this, [event, ...args]) as boolean
} as typeof emit

// oxlint-disable-next-line typescript/unbound-method -- called on the object it was called on
const { end } = ServerResponse.prototype
ServerResponse.prototype.end = function (this: ServerResponse, ...args: never[]) {
  if (this.req.url?.endsWith('?doomed')) {
    count()
    isArmed = false
  }
  return Reflect.apply(end, this, args) as ServerResponse
} as typeof end
