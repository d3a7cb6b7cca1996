import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { buildApp, type Lactea } from '../../src/app.ts'
import type { Clock } from '../../src/core/clock.ts'
import { loadConfig } from '../../src/config.ts'
import { systemClock } from '../../src/gateway.ts'
import { makeDirectory } from './directory.ts'
import { faultOfData } from './milky-judge.ts'
import { createLogger, type LogLevel } from '../../src/log.ts'
import { stringify } from 'yaml'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Two bots and a person who are friends and share a group that bot 10001 owns. */
export const world = {
  bots: [
    { id: 10001, nickname: 'One', access_token: 'token-one' },
    { id: 10002, nickname: 'Two', access_token: 'token-two' }
  ],
  provision: {
    accounts: [{ id: 10011, kind: 'person', username: 'alice', password: 'alice-secret', nickname: 'Alice' }],
    friends: [
      [10001, 10011],
      [10001, 10002]
    ],
    groups: [{ id: 100001, name: 'Test group', owner: 10001, members: [10002, 10011] }]
  }
}

export interface ApiAnswer {
  readonly http: number
  readonly status: string
  readonly retcode: number
  readonly message?: string
  readonly data?: any
}

export interface Running {
  readonly lactea: Lactea
  /** `http://127.0.0.1:port`, or https where `server.tls` is configured. */
  readonly url: string
  readonly ws: string
  readonly dir: string
  /** Every line that was logged. */
  readonly lines: string[]
  /** The first line that holds these words; waits for it. */
  readonly logged: (words: string) => Promise<string>
  /** Calls a Milky draft action over HTTP as a bot; gives the parsed body. */
  readonly call: (token: string, api: string, params?: object) => Promise<ApiAnswer>
  /** The same for Milky 1.2, strictly judged: throws when a success is not as the package has it. */
  readonly milky: (token: string, api: string, params?: object) => Promise<ApiAnswer>
  readonly signIn: (username: string, password: string) => Promise<string>
}

export interface StartOptions {
  /** Anything that may stand in a configuration file; merged over `world` at the top level. */
  readonly config?: { readonly server?: object; readonly [key: string]: unknown }
  /** A data directory that outlives this gateway; a new one when absent. */
  readonly dir?: string
  readonly logLevel?: LogLevel
  /** That of a gateway that was there before; any free one when absent. */
  readonly port?: number
  /** No time passes for those who may do something only so often; for tests that count what is refused. */
  readonly isTimeStopped?: boolean
  /** For tests that let time pass by themselves. */
  readonly clock?: Clock
}

/** A running gateway on a free port, built from a real configuration file; gone when the test ends. */
export async function startApp(
  t: Test,
  {
    config = {},
    dir = makeDirectory(t),
    logLevel = 'silent',
    port: wanted = 0,
    isTimeStopped = false,
    clock = isTimeStopped ? { ...systemClock, ticks: () => 0 } : undefined
  }: StartOptions = {}
): Promise<Running> {
  const file = join(dir, 'lactea.yaml')
  const given = { ...world, ...config, server: { ...config.server, port: 0 }, data: { dir: join(dir, 'data') } }
  writeFileSync(file, stringify(given))
  const lines: string[] = []
  const watchers = new Set<(line: string) => void>()
  const loaded = loadConfig({ file, env: {}, cwd: dir })
  const lactea = await buildApp(
    loaded.config,
    createLogger(logLevel, (line) => {
      lines.push(line)
      for (const watch of watchers) watch(line)
    }),
    clock ? { clock } : {}
  )
  t.teardown(() => lactea.app.close())
  await lactea.listen({ port: wanted, host: '127.0.0.1' })
  const { port } = lactea.app.server.address() as AddressInfo
  const url = `http${loaded.config.server.tls ? 's' : ''}://127.0.0.1:${port}`

  return {
    lactea,
    url,
    ws: url.replace(/^http/, 'ws'),
    dir,
    lines,
    logged(words) {
      const known = lines.find((line) => line.includes(words))
      if (known !== undefined) return Promise.resolve(known)
      return new Promise((resolve) => {
        const watch = (line: string): void => {
          if (!line.includes(words)) return
          watchers.delete(watch)
          resolve(line)
        }
        watchers.add(watch)
      })
    },
    call: (token, api, params) => post(`${url}/${api}`, token, params),
    async milky(token, api, params) {
      const answer = await post(`${url}/api/${api}`, token, params)
      const fault = answer.status === 'ok' ? faultOfData(api, answer.data) : undefined
      if (fault !== undefined) throw new Error(fault)
      return answer
    },
    async signIn(username, password) {
      const response = await fetch(`${url}/api/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username, password })
      })
      const { token } = (await response.json()) as { token: string }
      return token
    }
  }
}

/** A message of plain text, as the draft writes it. */
export function text(words: string): object[] {
  return [{ type: 'text', data: { text: words } }]
}

async function post(url: string, token: string, params: object = {}): Promise<ApiAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(params)
  })
  return { http: response.status, ...((await response.json()) as Omit<ApiAnswer, 'http'>) }
}
