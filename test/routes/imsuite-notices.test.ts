import t, { type Test } from 'tap'
import type { Running } from '../helpers/app.ts'
import {
  alice,
  bob,
  carol,
  heardSoFar,
  openDevice,
  request,
  startPeople,
  TIMESTAMP,
  tokenOf
} from '../helpers/people.ts'
import { runLactea } from '../helpers/service.ts'

interface Desk {
  readonly app: Running
  /** Calls the admin's route as Alice, who is one. */
  readonly send: (body: unknown) => Promise<{ status: number; body: any }>
  readonly inbox: (accountId: number, query?: string) => Promise<any>
}

async function openDesk(t: Test): Promise<Desk> {
  const app = await startPeople(t)
  await app.lactea.gateway.store.setAdmin(alice, true)
  const path = '/api/admin/notifications'
  return {
    app,
    send: async (body) => request(app, await tokenOf(alice), 'POST', path, body),
    inbox: async (accountId, query = '') =>
      (await request(app, await tokenOf(accountId), 'GET', `/api/notifications${query}`)).body
  }
}

const words = { title: 'Maintenance', message: 'The server restarts at noon.' }

void t.test('an admin tells something', async (t) => {
  t.test('to everybody, in frames of exactly the keys of the document', async (t) => {
    const { app, send, inbox } = await openDesk(t)
    const devices = [await openDevice(t, app, alice), await openDevice(t, app, bob), await openDevice(t, app, carol)]
    const answer = await send({ ...words, type: 'warning', action_url: 'https://example.org/status' })
    t.equal(answer.status, 201)
    const notification = {
      id: 1,
      ...words,
      type: 'warning',
      action_url: 'https://example.org/status',
      created_at: TIMESTAMP
    }
    t.match(answer.body, { success: true, notification, recipients: null, data: { notification } })
    for (const device of devices) {
      const frame = await device.next()
      t.strictSame(Object.keys(frame), ['type', 'payload', 'timestamp'])
      t.equal(frame.type, 'notification')
      t.strictSame(frame.payload, { ...words, type: 'warning', action_url: 'https://example.org/status' })
      t.strictSame(Object.keys(frame.payload), ['title', 'message', 'type', 'action_url'])
    }
    t.match(await inbox(carol), {
      success: true,
      notifications: [notification],
      data: { notifications: [notification] }
    })
  })

  t.test('to some, by id and username', async (t) => {
    const { app, send, inbox } = await openDesk(t)
    const [own, other] = [await openDevice(t, app, bob), await openDevice(t, app, carol)]
    t.match(await send({ ...words, to: [bob, 'alice'] }), { status: 201, body: { recipients: 2 } })
    t.match(await own.next(), { type: 'notification', payload: { ...words, type: 'info', action_url: '' } })
    t.strictSame(await heardSoFar(other), [])
    t.strictSame((await inbox(carol)).notifications, [])
    t.equal((await inbox(bob)).notifications.length, 1)
  })

  t.test('or is told what is wrong with it', async (t) => {
    const { app, send } = await openDesk(t)
    const device = await openDevice(t, app, bob)
    const rows: [body: unknown, field: string][] = [
      [{ message: 'x' }, 'title'],
      // The people's doors call all that is said so.
      [{ title: 'x' }, 'content'],
      [{ ...words, type: 'gossip' }, 'type'],
      [{ ...words, action_url: 'javascript:1' }, 'action_url'],
      [{ ...words, to: [] }, 'to'],
      [{ ...words, to: 'bob' }, 'to'],
      [{ ...words, to: ['nobody', bob, 99999] }, 'to']
    ]
    for (const [body, field] of rows) {
      const answer = await send(body)
      t.equal(answer.status, 400, JSON.stringify(body))
      t.match(answer.body, { success: false, code: 'VALIDATION_ERROR', details: { field } }, JSON.stringify(body))
    }
    t.match((await send({ ...words, to: ['nobody', bob, 99999] })).body, { error: /nobody, 99999/ })
    t.strictSame(await heardSoFar(device), [])
  })

  t.test('and nobody else does', async (t) => {
    const { app } = await openDesk(t)
    const path = '/api/admin/notifications'
    t.match(await request(app, await tokenOf(bob), 'POST', path, words), { status: 403, body: { code: 'FORBIDDEN' } })
    t.match(await request(app, 'nonsense', 'POST', path, words), { status: 401 })
    t.match(await request(app, 'nonsense', 'GET', '/api/notifications'), { status: 401 })
  })
})

void t.test('the inbox is read page by page', async (t) => {
  const { send, inbox } = await openDesk(t)
  for (let index = 1; index <= 5; index++) await send({ ...words, title: `${index}` })
  const titles = async (query: string): Promise<string[]> =>
    (await inbox(bob, query)).notifications.map(({ title }: { title: string }) => title)
  t.strictSame(await titles(''), ['5', '4', '3', '2', '1'])
  t.strictSame(await titles('?limit=2'), ['5', '4'])
  t.strictSame(await titles('?after=0&limit=2'), ['1', '2'])
  t.strictSame(await titles('?after=3'), ['4', '5'])
  t.match(await inbox(bob, '?after=x'), { success: false, code: 'VALIDATION_ERROR', details: { field: 'after' } })
  t.match(await inbox(bob, '?limit=0'), { success: false, details: { field: 'limit' } })
})

void t.test('lactea notify', async (t) => {
  t.test('beside a running gateway tells who is connected', async (t) => {
    const { app, inbox } = await openDesk(t)
    const [own, other] = [await openDevice(t, app, bob), await openDevice(t, app, carol)]
    const lactea = (...args: string[]) => runLactea(args, { cwd: app.dir })
    t.match(
      await lactea('notify', '--to', `bob, ${alice}`, '--type', 'success', '--url', '/news', 'Hello', 'For two'),
      {
        code: 0,
        stdout: `notice 1 is for ${bob}, ${alice}\n`,
        stderr: ''
      }
    )
    t.match(await lactea('notify', 'Hello', 'For all'), { code: 0, stdout: 'notice 2 is for everybody\n' })
    t.match(await own.next(), {
      type: 'notification',
      payload: { title: 'Hello', message: 'For two', type: 'success', action_url: '/news' }
    })
    for (const device of [own, other]) t.match(await device.next(), { payload: { message: 'For all', type: 'info' } })
    for (const device of [own, other]) t.strictSame(await heardSoFar(device), [])
    t.match(await inbox(bob), { notifications: [{ message: 'For all' }, { message: 'For two' }] })
  })

  t.test('without one leaves it in the inbox', async (t) => {
    const { app } = await openDesk(t)
    await app.lactea.app.close()
    t.match(await runLactea(['notify', 'Hello', 'For all'], { cwd: app.dir }), { code: 0 })
    const again = await startPeople(t, {}, { dir: app.dir })
    const device = await openDevice(t, again, bob)
    t.strictSame(await heardSoFar(device), [])
    const { body } = await request(again, await tokenOf(bob), 'GET', '/api/notifications')
    t.match(body, { notifications: [{ title: 'Hello', message: 'For all' }] })
  })

  t.test('says what is wrong in a sentence', async (t) => {
    const { app } = await openDesk(t)
    const rows: [args: string[], says: RegExp][] = [
      [['Hello'], /missing required argument 'message'/],
      [['--type', 'gossip', 'Hello', 'you'], /expected info, warning, error or success/],
      [['--to', `nobody,${bob},99999`, 'Hello', 'you'], /^to: there is no person nobody, 99999$/],
      [['--to', ' , ', 'Hello', 'you'], /^to: expected 1 to 1000 accounts/],
      [['--url', 'javascript:1', 'Hello', 'you'], /^action_url: expected an http or https address/],
      [['', 'you'], /^title: expected 1 to 200 characters/]
    ]
    for (const [args, says] of rows) {
      const { code, stderr, stdout } = await runLactea(['notify', ...args], { cwd: app.dir })
      t.strictSame([code, stdout], [1, ''], args.join(' '))
      t.match(stderr.trim(), says, args.join(' '))
    }
  })
})
