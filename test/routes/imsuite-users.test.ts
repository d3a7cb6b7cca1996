import t, { type Test } from 'tap'
import { startApp, type Running } from '../helpers/app.ts'
import { ask, tokensOf } from '../helpers/person.ts'
import {
  alice,
  bob,
  carol,
  GROUP,
  heardSoFar,
  openDevice,
  request,
  say,
  startPeople,
  TIMESTAMP,
  tokenOf
} from '../helpers/people.ts'
import { png } from '../helpers/pictures.ts'

const PHONE = '+8613800000000'

/** Bob has a phone number, and nobody knows Carol. */
const start = (t: Test): Promise<Running> =>
  startPeople(t, {
    provision: {
      accounts: [
        { id: alice, kind: 'person', username: 'alice', password: 'alice-secret', nickname: 'Alice' },
        { id: bob, kind: 'person', username: 'bob', password: 'bob-secret', nickname: 'Bob', phone: PHONE },
        { id: carol, kind: 'person', username: 'carol', password: 'carol-secret', nickname: '50%_Carol' }
      ],
      groups: [{ id: GROUP, name: 'Test group', owner: 10001, members: [alice, bob] }]
    }
  })

void t.test('GET /api/users/me gives the own account, flat and in data', async (t) => {
  const app = await startApp(t)
  const { token } = await tokensOf(app)
  const user = { id: 10011, username: 'alice', nickname: 'Alice', phone: '', bio: '' }
  t.match(await ask(app, 'GET', '/api/users/me', { token }), {
    status: 200,
    body: { success: true, ...user, data: user }
  })
})

void t.test('PUT /api/users/me', async (t) => {
  t.test('changes what is given, and others see it from then on', async (t) => {
    const app = await start(t)
    const [token, device] = [await tokenOf(alice), await openDevice(t, app, bob)]
    const avatar_url = 'https://pictures.example/a.png'
    t.match(await request(app, token, 'PUT', '/api/users/me', { nickname: ' Al ', avatar_url }), {
      status: 200,
      body: { success: true, nickname: 'Al', bio: '', avatar: avatar_url, data: { avatar_url, updated_at: TIMESTAMP } }
    })
    t.match((await request(app, token, 'PUT', '/api/users/me', { bio: 'I sing' })).body, { nickname: 'Al' })
    t.match((await request(app, await tokenOf(bob), 'GET', `/api/users/${alice}`)).body, { bio: 'I sing' })
    const speaker = await openDevice(t, app, alice)
    speaker.send(say('hello'))
    await speaker.next()
    t.match(await heardSoFar(device), [{ payload: { sender: { id: alice, nickname: 'Al', avatar_url } } }])
    t.match((await request(app, token, 'PUT', '/api/users/me', { avatar_url: '' })).body, { avatar_url: '' })
  })

  t.test('takes a picture that was uploaded, under an address that lasts', async (t) => {
    const app = await start(t)
    const token = await tokenOf(alice)
    const { files, links } = app.lactea.gateway
    const picture = await files.add({ ownerId: alice, bytes: [png(2, 2)], name: 'me.png' })
    const given = links.linkOf({ fileId: picture.id, name: picture.name })
    const { status, body } = await request(app, token, 'PUT', '/api/users/me', { avatar_url: given })
    t.equal(status, 200)
    t.match(body.avatar_url, /exp=253402300799&sig=/)
    const shown = await fetch(`${app.url}${body.avatar_url}`)
    t.strictSame([shown.status, shown.headers.get('content-type')], [200, 'image/png'])
    await shown.arrayBuffer()
    t.match(await request(app, await tokenOf(bob), 'PUT', '/api/users/me', { avatar_url: given }), {
      status: 404
    })
    const text = await files.add({ ownerId: alice, bytes: [Buffer.from('no picture')], name: 'a.txt' })
    const avatar_url = links.linkOf({ fileId: text.id, name: text.name })
    t.match(await request(app, token, 'PUT', '/api/users/me', { avatar_url }), { status: 400 })
  })

  t.test('refuses what is no name and no safe address', async (t) => {
    const app = await start(t)
    const token = await tokenOf(alice)
    const bodies: [string, object][] = [
      ['nickname', { nickname: '' }],
      ['nickname', { nickname: '  ' }],
      ['nickname', { nickname: 'a\u0000b' }],
      ['nickname', { nickname: 'x'.repeat(65) }],
      ['nickname', { nickname: 7 }],
      ['bio', { bio: 'x'.repeat(501) }],
      ['avatar_url', { avatar_url: 'http://pictures.example/a.png' }],
      ['avatar_url', { avatar_url: 'javascript:alert(1)' }],
      ['avatar_url', { avatar_url: 'nonsense' }],
      ['avatar_url', { avatar_url: `https://pictures.example/${'x'.repeat(2048)}` }]
    ]
    for (const [field, body] of bodies) {
      const refused = { status: 400, body: { code: 'VALIDATION_ERROR', details: { field } } }
      t.match(await request(app, token, 'PUT', '/api/users/me', body), refused, JSON.stringify(body).slice(0, 60))
    }
    t.match((await request(app, token, 'GET', '/api/users/me')).body, { nickname: 'Alice', bio: '', avatar_url: '' })
  })
})

void t.test('finding accounts', async (t) => {
  const app = await start(t)
  const token = await tokenOf(alice)
  const get = (path: string) => request(app, token, 'GET', path)

  t.test('never shows the phone number of somebody else', async (t) => {
    for (const path of [
      `/api/users/${bob}`,
      '/api/users/search?username=bob',
      `/api/users/search?phone=${encodeURIComponent(PHONE)}`,
      `/api/users/by-phone/${PHONE}`,
      '/api/users/search?keyword=bo'
    ]) {
      const { status, body } = await get(path)
      t.equal(status, 200, path)
      t.match(JSON.stringify(body), /"nickname":"Bob"/, path)
      t.notMatch(JSON.stringify(body), /13800000000/, path)
    }
    const own = await request(app, await tokenOf(bob), 'GET', `/api/users/${bob}`)
    t.match(own.body, { phone: PHONE, data: { phone: PHONE } })
  })

  t.test('gives the union of what clients know, flat and in data', async (t) => {
    const { body } = await get(`/api/users/${bob}`)
    t.strictSame(body, {
      success: true,
      ...body.data,
      data: {
        id: bob,
        phone: '',
        username: 'bob',
        nickname: 'Bob',
        avatar: '',
        avatar_url: '',
        bio: '',
        language: '',
        theme: '',
        online: false,
        is_online: false,
        last_seen: body.last_seen,
        created_at: body.created_at,
        updated_at: body.updated_at,
        is_bot: false
      }
    })
    t.match([body.last_seen, body.created_at, body.updated_at], [TIMESTAMP, TIMESTAMP, TIMESTAMP])
    t.match((await get('/api/users/10001')).body, { is_bot: true, nickname: 'One' })
  })

  const rows: [string, number[]][] = [
    [`phone=${encodeURIComponent(PHONE)}`, [bob]],
    [`phone=${PHONE}`, [bob]],
    ['phone=%2B138', []],
    ['username=bob', [bob]],
    ['username=bo', []],
    ['keyword=o', [10001, 10002, bob, carol]],
    ['keyword=o&limit=1', [10001]],
    ['keyword=50%25', [carol]],
    ['keyword=%25', [carol]],
    ['keyword=13800000000', []]
  ]
  t.test('searches exactly or by words', async (t) => {
    for (const [query, ids] of rows) {
      // A person may search so often at once; this one is somebody else each time.
      const { id } = await app.lactea.gateway.accounts.add({ kind: 'person', nickname: 'zz' })
      const { body } = await request(app, await tokenOf(id), 'GET', `/api/users/search?${query}`)
      t.strictSame(
        body.data.map((user: { id: number }) => user.id),
        ids,
        query
      )
      t.strictSame([body.users, body.count], [body.data, ids.length])
    }
  })

  t.test('refuses a search for nothing, and knows nobody who is not there', async (t) => {
    const other = await tokenOf(carol)
    for (const query of ['', '?keyword=', '?keyword=%20', '?limit=5', `?keyword=${'x'.repeat(101)}`])
      t.match(await request(app, other, 'GET', `/api/users/search${query}`), { status: 400 }, query)
    t.match(await get('/api/users/4242'), { status: 404, body: { code: 'NOT_FOUND' } })
    t.match(await get('/api/users/by-phone/+4912345'), { status: 404, body: { code: 'NOT_FOUND' } })
  })

  t.test('may be done so often', async (t) => {
    const other = await tokenOf(bob)
    const statuses = new Set<number>()
    let last
    for (let count = 0; count < 60; count++) {
      last = await request(app, other, 'GET', count % 2 ? '/api/users/search?keyword=a' : '/api/users/by-phone/+1')
      statuses.add(last.status)
      if (last.status === 429) break
    }
    t.strictSame(statuses, new Set([404, 200, 429]))
    t.match(last?.body, { code: 'RATE_LIMITED' })
  })
})

void t.test('who is online is shown to those who know them', async (t) => {
  const app = await start(t)
  await openDevice(t, app, bob)
  await openDevice(t, app, carol)
  const token = await tokenOf(alice)
  t.match((await request(app, token, 'GET', `/api/users/${bob}`)).body, { is_online: true, online: true })
  t.match((await request(app, token, 'GET', `/api/users/${carol}`)).body, { is_online: false })
  t.match((await request(app, await tokenOf(carol), 'GET', `/api/users/${carol}`)).body, { is_online: true })
})
