import { startBareServer } from './lib/bare-limit.ts'
import type { Bench, Goal } from './lib/bench.ts'
import { measure } from './lib/child.ts'
import { openHttpLoad } from './lib/raw-http.ts'
import { listeners, sender, startService } from './lib/service.ts'

interface Call {
  readonly path: string
  readonly token: string
  readonly bodies: readonly [string]
}

const CONNECTIONS = 64

const login: Call = { path: '/get_login_info', token: sender.access_token, bodies: ['{}'] }
const send: Call = {
  path: '/send_private_message',
  token: sender.access_token,
  bodies: [
    JSON.stringify({
      user_id: listeners[0]?.id,
      message: [{ type: 'text', data: { text: 'A message as people write them, not long. '.repeat(2) } }]
    })
  ]
}

export const httpBenches: readonly Bench[] = [
  bench('http-login', login, [
    {
      figure: 'ratio',
      atLeast: 0.75,
      says: '≥ 0.75 × node:http',
      inTheWay:
        'Fastify with all plugins of the gateway and a handler that answers a constant reaches 0.78; what the call itself does costs 5 % more. Tried without gain: reading the body without Fastify, answering past its reply, leaving out constraints of routes.'
    }
  ]),
  bench('http-send', send, [
    { figure: 'ratio', atLeast: 0.35, says: '≥ 0.35 × node:http' },
    { figure: 'loopP99Ms', atMost: 6, says: 'loop delay p99 ≤ 6 ms' }
  ])
]

function bench(name: string, call: Call, goals: readonly Goal[]): Bench {
  return {
    name,
    what: `HTTP POST ${call.path}, ${CONNECTIONS} connections`,
    figure: 'perSecond',
    goals,
    async prepare() {
      const service = await startService()
      // The bare server answers word for word what the service answered.
      const bare = await startBareServer('serveHttp', await ask(service.port, call))
      const open = (port: number) => openHttpLoad({ port, ...call, connections: CONNECTIONS })
      const [ours, theirs] = [open(service.port), open(bare.port)]
      return {
        service: (seconds) => measure(service.child, () => ours.run(seconds)),
        bare: (seconds) => measure(bare.child, () => theirs.run(seconds)),
        async close() {
          ours.close()
          theirs.close()
          await Promise.all([service.child.stop(), bare.child.stop()])
        }
      }
    }
  }
}

async function ask(port: number, { path, token, bodies: [body] }: Call): Promise<string> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body })
  const text = await response.text()
  if (!text.startsWith('{"status":"ok"')) throw new Error(`${path} failed: ${response.status} ${text}`)
  return text
}
