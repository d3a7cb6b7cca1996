import { Script } from 'node:vm'
import t from 'tap'
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
    t.notMatch(policy, /https?:|\*/)
    t.equal(response.headers.get('x-content-type-options'), 'nosniff')
    t.equal(response.headers.get('referrer-policy'), 'no-referrer')
    const html = await response.text()
    t.notMatch(html, /(?:src|href)=(?!"data:)|@import|url\(/)
    t.match(html, /^<!doctype html>\n<html lang="en">.*<meta name="viewport"/)
  })

void t.test('the script of /chat is one that a browser can read', async (t) => {
  const app = await startApp(t)
  const html = await (await fetch(`${app.url}/chat`)).text()
  const [, script = ''] = /<script>([^]+)<\/script>/.exec(html) ?? []
  t.match(script, /message\.send/)
  t.ok(new Script(script), 'it parses')
  for (const [, id = ''] of script.matchAll(/byId\('([\w-]+)'\)/g))
    t.ok(html.includes(`id="${id}"`), `what it looks for as ${id} is there`)
})
