import { ServerResponse } from 'node:http'

// Runs inside the gateway, before it: holds back the answers to requests with `?doomed`, and when there are `count` of
// them, each after its commit, the process dies on the spot.

const count = Number(new URL(import.meta.url).searchParams.get('count'))
let held = 0
// oxlint-disable-next-line typescript/unbound-method -- called on the object it was called on
const { end } = ServerResponse.prototype

ServerResponse.prototype.end = function (this: ServerResponse, ...args: never[]) {
  if (!this.req.url?.endsWith('?doomed')) return Reflect.apply(end, this, args) as ServerResponse
  if (++held === count) process.kill(process.pid, 'SIGKILL')
  return this
} as typeof end
