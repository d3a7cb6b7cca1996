import type { RouteHandlerMethod } from 'fastify'

/** What `GET /` tells a visitor who did not ask for a WebSocket. */
const doors = [
  { door: 'POST /api/:api', for: 'bots', what: 'Milky 1.2 actions, with Authorization: Bearer <access_token>' },
  {
    door: 'GET /event',
    for: 'bots',
    what: 'Milky 1.2 events, by WebSocket or Server-Sent Events, with ?access_token=<access_token>'
  },
  { door: 'POST /:api', for: 'bots', what: 'Milky draft actions, with Authorization: Bearer <access_token>' },
  { door: 'GET / (WebSocket)', for: 'bots', what: 'Milky draft actions and events, with ?access_token=<access_token>' },
  { door: 'POST /api/auth/login', for: 'people', what: 'sign in with {"username" or "phone", "password"}' },
  { door: 'GET /ws (WebSocket)', for: 'people', what: 'IM-Suite frames, with ?token=<token>' },
  { door: 'GET /chat', for: 'people', what: 'a page to chat in the browser' },
  { door: 'GET /console', for: 'the operator', what: 'what goes on here' },
  { door: 'GET /health, GET /ready', for: 'operations', what: 'whether the gateway lives, and whether it takes work' }
]

const rows = doors
  .map((row) => `<tr><td><code>${escape(row.door)}</code><td>${row.for}<td>${escape(row.what)}`)
  .join('\n')

const page = {
  json: { name: 'lactea', doors },
  html: `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Lactea</title>
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:50rem;padding:0 1rem}td{padding:.3rem 1rem .3rem 0;vertical-align:top}</style>
<h1>Lactea</h1>
<p>A messaging gateway in which people, bots and LLM brains meet. Its doors:</p>
<table>
${rows}
</table>
`
}

/** HTML for a browser, JSON for everybody else. */
export const frontPage: RouteHandlerMethod = (request, reply) => {
  if (!request.headers.accept?.includes('text/html')) return reply.send(page.json)
  return reply.type('text/html; charset=utf-8').send(page.html)
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
