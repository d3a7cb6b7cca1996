import type { RouteHandlerMethod } from 'fastify'
import { DOORS, type Door } from '../src/config.ts'

interface Row {
  readonly door: string
  readonly for: string
  readonly what: string
}

/** What `GET /` tells a visitor who did not ask for a WebSocket, by what has to be open. */
const rows: readonly (readonly [opens: Door | 'always', row: Row])[] = [
  [
    'milky',
    {
      door: 'POST /api/:api',
      for: 'bots',
      what: 'Milky 1.2 actions, with Authorization: Bearer <access_token>'
    }
  ],
  [
    'milky',
    {
      door: 'GET /event',
      for: 'bots',
      what: 'Milky 1.2 events, by WebSocket or Server-Sent Events, with ?access_token=<access_token>'
    }
  ],
  [
    'milky',
    { door: 'POST /:api', for: 'bots', what: 'Milky draft actions, with Authorization: Bearer <access_token>' }
  ],
  [
    'milky',
    {
      door: 'GET / (WebSocket)',
      for: 'bots',
      what: 'Milky draft actions and events, with ?access_token=<access_token>'
    }
  ],
  ['im', { door: 'POST /api/auth/login', for: 'people', what: 'sign in with {"username" or "phone", "password"}' }],
  ['im', { door: 'GET /ws (WebSocket)', for: 'people', what: 'IM-Suite frames, with ?token=<token>' }],
  [
    'maim',
    {
      door: 'GET /maim/ws, GET /ws (WebSocket)',
      for: 'brains and adapters',
      what: 'the API-Server protocol of maim_message, with ?api_key=<key>&platform=<name>'
    }
  ],
  [
    'maim',
    {
      door: 'GET /maim/legacy/ws, GET /ws (WebSocket)',
      for: 'brains and adapters',
      what: 'the legacy protocol of maim_message, with the headers platform and Authorization: <token>'
    }
  ],
  ['pages', { door: 'GET /chat', for: 'people', what: 'a page to chat in the browser' }],
  ['pages', { door: 'GET /console', for: 'the operator', what: 'a page with what goes on here' }],
  ['ops', { door: 'GET /metrics', for: 'operations', what: 'what goes on, for Prometheus' }],
  [
    'always',
    {
      door: 'GET /health, GET /ready',
      for: 'operations',
      what: 'whether the gateway lives, and whether it takes work'
    }
  ]
]

interface Page {
  readonly json: { readonly name: string; readonly doors: readonly Row[] }
  readonly html: string
}

function createPage(open: readonly Door[]): Page {
  const doors = rows.filter(([opens]) => opens === 'always' || open.includes(opens)).map(([, row]) => row)
  const lines = doors.map((row) => `<tr><td><code>${escape(row.door)}</code><td>${row.for}<td>${escape(row.what)}`)
  return {
    json: { name: 'lactea', doors },
    html: `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Lactea</title>
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:50rem;padding:0 1rem}td{padding:.3rem 1rem .3rem 0;vertical-align:top}</style>
<h1>Lactea</h1>
<p>A messaging gateway in which people, bots and LLM brains meet. Its doors:</p>
<table>
${lines.join('\n')}
</table>
`
  }
}

const whole = createPage(DOORS)

/** HTML for a browser, JSON for everybody else. Names what is open where the visitor came in. */
export const frontPage: RouteHandlerMethod = (request, reply) => {
  const open = request.server.openDoors(request)
  const page = open === DOORS ? whole : createPage(open)
  if (!request.headers.accept?.includes('text/html')) return reply.send(page.json)
  return reply.type('text/html; charset=utf-8').send(page.html)
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
