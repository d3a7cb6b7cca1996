import { createHash } from 'node:crypto'
import { Script } from 'node:vm'
import t, { type Test } from 'tap'
import { startApp, type Running } from '../helpers/app.ts'
import { routesOf } from '../helpers/routes.ts'

for (const path of ['/chat', '/console'])
  void t.test(`GET ${path} is a page that loads nothing from elsewhere and runs nowhere else`, async (t) => {
    const app = await startApp(t)
    const response = await fetch(`${app.url}${path}`)
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy') ?? ''
    t.match(policy, /default-src 'none'/)
    t.match(policy, /frame-ancestors 'none'/)
    t.notMatch(policy, /https?:|\*|unsafe/)
    t.equal(response.headers.get('x-content-type-options'), 'nosniff')
    t.equal(response.headers.get('referrer-policy'), 'no-referrer')
    const html = await response.text()
    t.notMatch(html, /(?:src|href)=(?!"data:)|@import|url\(|https?:\/\//)
    t.match(html, /^<!doctype html>\n<html lang="en">.*<meta name="viewport"/)
    for (const tag of ['script', 'style']) {
      const texts = [...html.matchAll(new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`, 'g'))].map(([, text = '']) => text)
      const sources = texts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      t.match(`${policy};`, `${tag}-src ${sources.join(' ') || "'none'"};`, `the policy allows this ${tag} alone`)
    }
  })

async function readPage(t: Test, path: string): Promise<{ app: Running; html: string; script: string }> {
  const app = await startApp(t)
  const html = await (await fetch(`${app.url}${path}`)).text()
  const [, script = ''] = /<script>([^]+)<\/script>/.exec(html) ?? []
  return { app, html, script }
}

const readChat = (t: Test) => readPage(t, '/chat')

for (const path of ['/chat', '/console']) {
  void t.test(`the script of ${path} is one that a browser can read`, async (t) => {
    const { html, script } = await readPage(t, path)
    t.ok(new Script(script), 'it parses')
    for (const [, id = ''] of script.matchAll(/(?:byId|fill|handle)\('([\w-]+)'/g))
      t.ok(html.includes(`id="${id}"`), `what it looks for as ${id} is there`)
  })

  void t.test(`what others say cannot become a part of ${path}`, async (t) => {
    const { html, script } = await readPage(t, path)
    t.notMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|eval\(|Function\(/)
    t.notMatch(html, /<[^>]+\son\w+\s*=|javascript:/, 'nothing of the markup runs by itself')
  })

  void t.test(`everything that one fills in or looks at on ${path} has a name to be read out`, async (t) => {
    const { html } = await readPage(t, path)
    const labels = [...html.matchAll(/<label[^>]*>([^]*?)<\/label>/g)].map(([, label = '']) => label)
    t.equal(labels.filter((label) => label.includes('<input')).length, html.split('<input').length - 1)
    for (const [tag] of html.matchAll(/<(?:video|nav|section|ul|table)\b[^>]*>/g)) t.match(tag, /aria-label="\w/, tag)
    for (const [, words = ''] of html.matchAll(/<button[^>]*>([^<]*)/g)) t.match(words, /\w/)
  })
}

void t.test('/console has every word in two languages', async (t) => {
  const { html } = await readPage(t, '/console')
  const [markup = ''] = html.split('<script>')
  const bare = [...markup.matchAll(/<(\w+)([^>]*)>\s*([A-Za-z][^<]+)/g)].filter(
    ([, tag = '', attributes = '', words = '']) =>
      !['title', 'style'].includes(tag) &&
      !attributes.includes('data-zh=') &&
      !['ID', 'Webhooks'].includes(words.trim())
  )
  t.strictSame(
    bare.map(([text]) => text),
    []
  )
})

void t.test('/console calls what is there', async (t) => {
  const { app, script } = await readPage(t, '/console')
  const routes = routesOf(app)
  const whole = [...script.matchAll(/'(\/api\/[\w/-]+[\w])(?:\?[^']*)?'/g)].map(([, path = '']) => path)
  t.ok(whole.length >= 7, whole.join(', '))
  for (const path of whole)
    t.ok(
      routes.some((route) => route.endsWith(` ${path}`)),
      path
    )
  const parts = [...script.matchAll(/path \+ '(\/[\w-]+)/g)].map(([, part = '']) => part)
  t.ok(parts.length >= 9, parts.join(', '))
  for (const part of parts)
    t.ok(
      routes.some((route) => route.endsWith(`/:id${part}`)),
      part
    )
})

void t.test('/chat speaks the frames of the document and no other', async (t) => {
  const { script } = await readChat(t)
  const both = ['typing', 'call.offer', 'call.answer', 'call.ice', 'call.end']
  const messages = ['message.edit', 'message.delete', 'message.read']
  const [, heard = ''] = /const heard = \{([^]+?)\n {2}\}\n/.exec(script) ?? []
  const hears = [...heard.matchAll(/^ {4}'?([\w.]+)'?(?:\(|: \()/gm)].map(([, type]) => type)
  // All but the pong, which says nothing but that somebody is there.
  const told = ['connect', 'disconnect', 'error', 'notification', 'presence', 'message.new', ...messages, ...both]
  t.strictSame(new Set(hears), new Set(told))
  const calls = script.matchAll(/(?:sendFrame|ask)\('([\w.]+)'|(?:tellCall|introduce)\(\w+, '([\w.]+)'/g)
  const says = [...calls].map(([, frame, call]) => frame ?? call)
  t.strictSame(new Set(says), new Set(['ping', 'message.send', ...messages, ...both]))
})
