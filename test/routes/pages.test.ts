import { createHash } from 'node:crypto'
import { Script } from 'node:vm'
import t, { type Test } from 'tap'
import { startApp } from '../helpers/app.ts'

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

async function readChat(t: Test): Promise<{ html: string; script: string }> {
  const app = await startApp(t)
  const html = await (await fetch(`${app.url}/chat`)).text()
  const [, script = ''] = /<script>([^]+)<\/script>/.exec(html) ?? []
  return { html, script }
}

void t.test('the script of /chat is one that a browser can read', async (t) => {
  const { html, script } = await readChat(t)
  t.ok(new Script(script), 'it parses')
  for (const [, id = ''] of script.matchAll(/byId\('([\w-]+)'\)/g))
    t.ok(html.includes(`id="${id}"`), `what it looks for as ${id} is there`)
})

void t.test('what others say cannot become a part of /chat', async (t) => {
  const { html, script } = await readChat(t)
  t.notMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|eval\(|Function\(/)
  t.notMatch(html, /<[^>]+\son\w+\s*=|javascript:/, 'nothing of the markup runs by itself')
})

void t.test('everything that one fills in or looks at on /chat has a name to be read out', async (t) => {
  const { html } = await readChat(t)
  const labels = [...html.matchAll(/<label[^>]*>([^]*?)<\/label>/g)].map(([, label = '']) => label)
  t.equal(labels.filter((label) => label.includes('<input')).length, html.split('<input').length - 1)
  for (const [tag] of html.matchAll(/<(?:video|nav|section|ul)\b[^>]*>/g)) t.match(tag, /aria-label="\w/, tag)
  for (const [, words = ''] of html.matchAll(/<button[^>]*>([^<]*)/g)) t.match(words, /\w/)
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
