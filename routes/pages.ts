import type { FastifyInstance } from 'fastify'
import { chatPage } from './chat-page.ts'

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff'
}

const CONSOLE = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Lactea console</title><link rel="icon" href="data:,">
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:40rem;padding:0 1rem}</style>
<h1>Operator console</h1>
<p>The console is not part of this version. Keep the set-up code of the first start: it will ask for it.</p>
<p>Until then, bots, people and groups are managed on the command line: <code>npx lactea --help</code>.</p>
`

/** Pages for browsers. */
export async function pages(app: FastifyInstance): Promise<void> {
  app.get('/chat', async (_request, reply) =>
    reply.headers(SECURITY_HEADERS).type('text/html; charset=utf-8').send(chatPage)
  )
  app.get('/console', async (_request, reply) =>
    reply.headers(SECURITY_HEADERS).type('text/html; charset=utf-8').send(CONSOLE)
  )
}
