import t, { type Test } from 'tap'
import { startApp } from '../helpers/app.ts'
import { browserPath, startBrowser, type Tab } from '../helpers/browser.ts'
import { png } from '../helpers/pictures.ts'

const skip = browserPath === undefined && 'LACTEA_TEST_BROWSER is not the path of a browser'

/** Alice and Bob on the page, in a private chat with each other. */
async function startPair(t: Test) {
  const app = await startApp(t, { config: { limits: { im_presence_grace: '500ms' } } })
  const openTab = await startBrowser(t, browserPath as string)
  const [alice, bob] = [await openTab(`${app.url}/chat`), await openTab(`${app.url}/chat`)]
  await signIn(alice, { username: 'alice', password: 'alice-secret', how: 'login' })
  await signIn(bob, { username: 'bob', password: 'bob-secret', how: 'register' })
  await fill(alice, '#find [name=keyword]', 'bob')
  await press(alice, '#find button')
  await press(alice, '#found button')
  await alice.until(`byId('title').textContent === 'bob'`)
  return { app, alice, bob }
}

async function signIn(tab: Tab, { username, password, how }: { username: string; password: string; how: string }) {
  await fill(tab, '#sign-in [name=username]', username)
  await fill(tab, '#sign-in [name=password]', password)
  await press(tab, `#sign-in [value=${how}]`)
  await tab.until(`byId('state').textContent.startsWith('Connected as')`)
}

async function fill(tab: Tab, selector: string, text: string): Promise<void> {
  await tab.run(`{
    const field = document.querySelector(${JSON.stringify(selector)})
    field.value = ${JSON.stringify(text)}
    field.dispatchEvent(new Event('input', { bubbles: true }))
  }`)
}

async function press(tab: Tab, selector: string): Promise<void> {
  const button = `document.querySelector(${JSON.stringify(selector)})`
  await tab.until(`${button}?.checkVisibility() && !${button}.disabled`)
  await tab.run(`${button}.click()`)
}

async function say(tab: Tab, text: string): Promise<void> {
  await fill(tab, '#send [name=content]', text)
  await press(tab, '#send-button')
}

const shows = (text: string): string => `byId('log').innerText.includes(${JSON.stringify(text)})`
const lines = (text: string): string =>
  `[...document.querySelectorAll('.message')].filter((line) => line.innerText.includes(${JSON.stringify(text)}))`

/** Presses a button of the message that says this. */
async function pressAt(tab: Tab, text: string, word: string): Promise<void> {
  await tab.run(
    `[...${lines(text)}[0].querySelectorAll('button')].find((one) => one.textContent === '${word}').click()`
  )
}

void t.test('/chat in a browser', { skip }, async (t) => {
  t.test('two people talk, and what they say stays words', async (t) => {
    const { alice, bob } = await startPair(t)
    const hostile = '<img src=x onerror="document.title=1"> & <b>words</b>'
    await say(alice, hostile)
    await press(bob, '#chats button:has(.badge)')
    await bob.until(shows(hostile))
    t.equal(await bob.run(`document.querySelectorAll('#log img, #log .content b').length`), 0)
    await alice.until(`${lines(hostile)}[0].querySelector('small').textContent === 'read'`)
    await bob.until(`!document.querySelector('.badge')`)

    await fill(bob, '#send [name=content]', 'I am')
    await alice.until(`byId('about').textContent === 'bob is typing…'`)
    await say(bob, 'I am heer')
    await alice.until(`byId('about').textContent === 'online'`)
    await alice.until(shows('I am heer'))
    await pressAt(bob, 'I am heer', 'Edit')
    await say(bob, 'I am here')
    await alice.until(`${shows('I am here')} && !${shows('heer')}`)
    await pressAt(alice, 'I am here', 'Reply')
    await say(alice, 'so am I')
    await bob.until(`${lines('so am I')}[0]?.querySelector('.quote').textContent === 'bob: I am here'`)
    await bob.run('window.confirm = () => true')
    await pressAt(bob, 'I am here', 'Delete')
    await alice.until(shows('(deleted)'))

    await alice.run(`{
      const bytes = Uint8Array.from(atob('${png(8, 8).toString('base64')}'), (letter) => letter.charCodeAt(0))
      const list = new DataTransfer()
      list.items.add(new File([bytes], '"><script>.png', { type: 'image/png' }))
      byId('send').file.files = list.files
    }`)
    await say(alice, '')
    await bob.until(`document.querySelector('#log img')?.naturalWidth === 8`)
    t.strictSame([...alice.complaints, ...bob.complaints], [])
  })

  t.test('who reloads is still signed in, and what was missed comes once', async (t) => {
    const { alice, bob } = await startPair(t)
    await say(alice, 'before')
    await bob.until(`document.querySelector('#chats button')`)
    await bob.reload()
    await bob.until(`byId('state').textContent.startsWith('Connected as bob')`)
    await press(bob, '#chats button')
    await bob.until(shows('before'))

    await bob.setOffline(true)
    await bob.until(`byId('state').textContent.startsWith('The connection is lost')`)
    await alice.until(`byId('about').textContent.startsWith('last seen')`)
    await say(alice, 'meanwhile')
    await alice.until(shows('meanwhile'))
    await bob.run(
      'window.news = [], void (({ hear: real }) => { hear = (frame) => { news.push(frame); real(frame) } })({ hear })'
    )
    await bob.setOffline(false)
    await bob.until(
      `news.some(({ type, payload }) => type === 'message.new' && payload.message.content === 'meanwhile')`
    )
    await bob.until(`${shows('meanwhile')} && byId('state').textContent.startsWith('Connected')`)
    await alice.until(`${lines('meanwhile')}[0].querySelector('small').textContent === 'read'`)
    t.equal(await bob.run(`${lines('meanwhile')}.length`), 1)
  })

  t.test('two browsers are brought together for a call', async (t) => {
    const { alice, bob } = await startPair(t)
    await press(alice, '#call-video')
    await bob.until(`byId('call-state').textContent === 'Alice calls you, with picture.'`)
    await press(bob, '#accept')
    for (const tab of [alice, bob]) {
      await tab.until(`talk?.pc?.connectionState === 'connected'`)
      await tab.until(`byId('theirs').videoWidth > 0`)
    }
    const stats = (await bob.run(`talk.pc.getStats().then((stats) => [...stats.values()])`)) as Record<string, any>[]
    for (const kind of ['audio', 'video'])
      t.ok(stats.find((one) => one.type === 'inbound-rtp' && one.kind === kind)?.bytesReceived > 0, `${kind} comes`)
    await bob.until('Date.now() - talk.answeredAt > 1100')
    await press(alice, '#hang-up')
    await bob.until(`byId('call').hidden && byId('state').textContent.startsWith('The call is over')`)
    t.match(await bob.run(`byId('state').textContent`), /^The call is over, after [1-9]\d* s\.$/)
  })
})
