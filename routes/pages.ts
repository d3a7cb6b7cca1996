import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { chatPage } from './chat-page.ts'

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
  for (const [path, html] of [
    ['/chat', chatPage],
    ['/console', CONSOLE]
  ] as const) {
    const headers = toHeaders(html)
    app.get(path, async (_request, reply) => reply.headers(headers).type('text/html; charset=utf-8').send(html))
  }
}

/** Nothing runs on the page and nothing dresses it but what it came with, and nothing comes from elsewhere. */
function toHeaders(html: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    `script-src ${toSources(html, 'script')}`,
    `style-src ${toSources(html, 'style')}`,
    "connect-src 'self'",
    "img-src 'self' data:",
    "media-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ]
  return {
    'content-security-policy': policy.join('; '),
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff'
  }
}

function toSources(html: string, tag: 'script' | 'style'): string {
  const [, text] = new RegExp(`<${tag}>([^]*)</${tag}>`).exec(html) ?? []
  return text === undefined ? "'none'" : `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
