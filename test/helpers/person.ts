import type { Running } from './app.ts'

/** Room for more sign-ins in a minute than people make. */
export const ROOMY = { limits: { sign_in_rate: 1000, login_rate: 1000, login_failures: 1000 } }
export const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: any
}

export interface Ask {
  readonly token?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

/** Calls the REST door as a person. A body of text is sent as it is. */
export async function ask(
  app: Running,
  method: string,
  path: string,
  { token, body, headers }: Ask = {}
): Promise<Answer> {
  const response = await fetch(`${app.url}${path}`, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) })
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

export const logIn = (app: Running, body: object): Promise<Answer> => ask(app, 'POST', '/api/auth/login', { body })

/** Signs in as Alice of the test world. */
export async function tokensOf(app: Running): Promise<{ token: string; refresh_token: string }> {
  return (await logIn(app, { username: 'alice', password: 'alice-secret' })).body
}
