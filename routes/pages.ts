import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { chatPage } from './chat-page.ts'
import { consolePage } from './console-page.ts'

/** Pages for browsers. */
export async function pages(app: FastifyInstance): Promise<void> {
  for (const [path, html] of [
    ['/chat', chatPage],
    ['/console', consolePage]
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
