import autocannon from 'autocannon'
import { startBareServer } from './lib/bare-limit.ts'
import type { Bench, Goal } from './lib/bench.ts'
import { measure } from './lib/child.ts'
import { listeners, sender, startService } from './lib/service.ts'

interface Call {
  readonly api: string
  readonly body: string
}

const CONNECTIONS = 64

const login: Call = { api: 'get_login_info', body: '{}' }
const send: Call = {
  api: 'send_private_message',
  body: JSON.stringify({
    user_id: listeners[0]?.id,
    message: [{ type: 'text', data: { text: 'A message as people write them, not long. '.repeat(2) } }]
  })
}

export const httpBenches: readonly Bench[] = [
  bench('http-login', login, [{ figure: 'ratio', atLeast: 0.75, says: '≥ 0.75 × node:http' }]),
  bench('http-send', send, [
    { figure: 'ratio', atLeast: 0.35, says: '≥ 0.35 × node:http' },
    { figure: 'loopP99Ms', atMost: 6, says: 'loop delay p99 ≤ 6 ms' }
  ])
]

function bench(name: string, call: Call, goals: readonly Goal[]): Bench {
  return {
    name,
    what: `HTTP ${call.api}, ${CONNECTIONS} connections`,
    figure: 'perSecond',
    goals,
    async prepare() {
      const service = await startService()
      // The bare server answers word for word what the service answered.
      const bare = await startBareServer('serveHttp', await ask(service.port, call))
      return {
        service: (seconds) => measure(service.child, () => load(service.port, call, seconds)),
        bare: (seconds) => measure(bare.child, () => load(bare.port, call, seconds)),
        close: async () => void (await Promise.all([service.child.stop(), bare.child.stop()]))
      }
    }
  }
}

const headers = { authorization: `Bearer ${sender.access_token}`, 'content-type': 'application/json' }

async function ask(port: number, { api, body }: Call): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/${api}`, { method: 'POST', headers, body })
  const text = await response.text()
  if (!text.startsWith('{"status":"ok"')) throw new Error(`${api} failed: ${response.status} ${text}`)
  return text
}

async function load(port: number, { api, body }: Call, seconds: number) {
  const result = await autocannon({
    url: `http://127.0.0.1:${port}/${api}`,
    method: 'POST',
    headers,
    body,
    connections: CONNECTIONS,
    duration: seconds
  })
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${api}: ${result.non2xx} requests were refused, ${result.errors} failed`)
  return {
    count: result['2xx'],
    elapsedMs: result.duration * 1000,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99
  }
}
