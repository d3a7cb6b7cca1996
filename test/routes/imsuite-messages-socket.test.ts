import t from 'tap'
import { text } from '../helpers/app.ts'
import { alice, bob, carol, GROUP, heardSoFar, openDevice, say, startPeople, TIMESTAMP } from '../helpers/people.ts'

void t.test('message.edit', async (t) => {
  t.test('reaches every device of every member with exactly the keys of the document', async (t) => {
    const app = await startPeople(t)
    const devices = [await openDevice(t, app, alice), await openDevice(t, app, alice), await openDevice(t, app, bob)]
    devices[0]?.send(say('frist'))
    const [sent] = await Promise.all(devices.map((device) => device.next()))
    const { id } = sent.payload.message
    devices[0]?.send({ type: 'message.edit', payload: { message_id: id, content: ' first ' } })
    for (const device of devices) {
      const frame = await device.next()
      t.strictSame(Object.keys(frame), ['type', 'payload', 'timestamp'])
      t.strictSame(Object.keys(frame.payload), ['message', 'chat'])
      t.match(frame.payload.message.updated_at, TIMESTAMP)
      const { updated_at: _, ...message } = frame.payload.message
      t.strictSame(message, {
        id,
        chat_id: GROUP,
        sender_id: alice,
        content: 'first',
        message_type: 'text',
        is_edited: true
      })
      t.strictSame(frame.payload.chat, { id: GROUP, type: 'group', title: 'Test group' })
    }
  })

  t.test('keeps what was said before, and tells nothing when nothing changes', async (t) => {
    const app = await startPeople(t)
    const device = await openDevice(t, app, alice)
    device.send(say('one'))
    const { id } = (await device.next()).payload.message
    for (const content of ['two', 'two', 'three'])
      device.send({ type: 'message.edit', payload: { message_id: id, content } })
    const heard = await heardSoFar(device)
    t.strictSame(
      heard.map((frame) => frame.payload.message.content),
      ['two', 'three']
    )
    const revisions = await app.lactea.gateway.store.listRevisions(id)
    t.match(revisions, [
      { rev: 0, segments: [{ text: 'one' }] },
      { rev: 1, segments: [{ text: 'two' }] }
    ])
  })

  t.test('is refused to everybody but the sender, and of what is not there', async (t) => {
    const app = await startPeople(t, { im: { edit_window: 3600 } })
    const [one, two, three] = [
      await openDevice(t, app, alice),
      await openDevice(t, app, bob),
      await openDevice(t, app, carol)
    ]
    one.send(say('mine'))
    const { id } = (await one.next()).payload.message
    await two.next()
    const edit = (content: unknown, message_id: unknown = id): object => ({
      type: 'message.edit',
      payload: { message_id, content }
    })
    const rows: [typeof one, object, object][] = [
      [two, edit('his'), { error_code: 'FORBIDDEN', details: { reason: 'not_sender' } }],
      [three, edit('hers'), { error_code: 'NOT_FOUND' }],
      [one, edit('x', id + 1000), { error_code: 'NOT_FOUND' }],
      [one, edit(''), { error_code: 'VALIDATION_ERROR', details: { field: 'content' } }],
      [one, edit('x'.repeat(4097)), { error_code: 'VALIDATION_ERROR', details: { field: 'content' } }],
      [one, edit(5), { error_code: 'VALIDATION_ERROR', details: { field: 'content' } }]
    ]
    for (const [device, frame, payload] of rows) {
      device.send(frame)
      t.match(await device.next(), { type: 'error', payload }, JSON.stringify(frame).slice(0, 100))
    }
    one.send({ type: 'message.delete', payload: { message_id: id } })
    t.match(await one.next(), { type: 'message.delete' })
    one.send(edit('back again'))
    t.match(await one.next(), { type: 'error', payload: { error_code: 'NOT_FOUND' } })
  })

  t.test('is refused when the window has passed', async (t) => {
    const app = await startPeople(t, { im: { edit_window: 1 } })
    const device = await openDevice(t, app, alice)
    // Said long ago: the clock of the gateway cannot be turned back.
    const message = await app.lactea.gateway.store.appendMessage({
      chatId: GROUP,
      senderId: alice,
      segments: [{ type: 'text', text: 'old' }],
      time: 1_700_000_000,
      check: () => {}
    })
    await device.next()
    device.send({ type: 'message.edit', payload: { message_id: message.message.id, content: 'new' } })
    t.match(await device.next(), { type: 'error', payload: { error_code: 'EDIT_WINDOW_EXPIRED' } })
  })
})

void t.test('message.delete', async (t) => {
  t.test('by the sender reaches every device, once however often it is asked for', async (t) => {
    const app = await startPeople(t)
    const [one, two] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
    one.send(say('oops'))
    const { id } = (await one.next()).payload.message
    await two.next()
    for (let times = 0; times < 3; times++) one.send({ type: 'message.delete', payload: { message_id: id } })
    const heard = await heardSoFar(one)
    t.equal(heard.length, 1)
    for (const frame of [heard[0], await two.next()]) {
      t.strictSame(Object.keys(frame.payload), ['message_id', 'chat_id', 'deleted_by', 'deleted_at'])
      t.match(frame, {
        type: 'message.delete',
        payload: { message_id: id, chat_id: GROUP, deleted_by: alice, deleted_at: TIMESTAMP }
      })
    }
  })

  t.test('by an admin is told with their name; by another member it is forbidden', async (t) => {
    const app = await startPeople(t, {
      provision: {
        accounts: [
          { id: alice, kind: 'person', username: 'alice', password: 'alice-secret', nickname: 'Alice' },
          { id: bob, kind: 'person', username: 'bob', password: 'bob-secret', nickname: 'Bob' },
          { id: carol, kind: 'person', username: 'carol', password: 'carol-secret', nickname: 'Carol' }
        ],
        groups: [{ id: GROUP, name: 'Test group', owner: 10001, admins: [bob], members: [alice, carol] }]
      }
    })
    const [one, two, three] = [
      await openDevice(t, app, alice),
      await openDevice(t, app, bob),
      await openDevice(t, app, carol)
    ]
    one.send(say('rude'))
    const { id } = (await three.next()).payload.message
    three.send({ type: 'message.delete', payload: { message_id: id } })
    t.match(await three.next(), { type: 'error', payload: { error_code: 'FORBIDDEN', details: { reason: 'role' } } })
    two.send({ type: 'message.delete', payload: { message_id: id } })
    t.match(await three.next(), { type: 'message.delete', payload: { message_id: id, deleted_by: bob } })
  })

  t.test('by a bot that recalls is the same', async (t) => {
    const app = await startPeople(t)
    const device = await openDevice(t, app, alice)
    const { data } = await app.call('token-one', 'send_group_message', { group_id: GROUP, message: text('hi') })
    const { id } = (await device.next()).payload.message
    await app.call('token-one', 'recall_message', data)
    t.match(await device.next(), { type: 'message.delete', payload: { message_id: id, deleted_by: 10001 } })
  })
})

void t.test('message.read', async (t) => {
  t.test('reaches the others and the other devices of the reader, not the one that said it', async (t) => {
    const app = await startPeople(t)
    const [one, reading, other] = [
      await openDevice(t, app, alice),
      await openDevice(t, app, bob),
      await openDevice(t, app, bob)
    ]
    one.send(say('read me'))
    const { id } = (await one.next()).payload.message
    await Promise.all([reading.next(), other.next()])
    reading.send({ type: 'message.read', payload: { message_id: id } })
    for (const device of [one, other]) {
      const frame = await device.next()
      t.strictSame(Object.keys(frame.payload), ['message_id', 'chat_id', 'read_by', 'read_at'])
      t.match(frame, {
        type: 'message.read',
        payload: { message_id: id, chat_id: GROUP, read_by: bob, read_at: TIMESTAMP }
      })
    }
    t.strictSame(await heardSoFar(reading), [])
  })

  t.test('never goes back, and says nothing twice', async (t) => {
    const app = await startPeople(t, { limits: { im_read_interval: 1 } })
    const [one, two] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
    const ids: number[] = []
    for (const words of ['a', 'b', 'c']) {
      one.send(say(words))
      ids.push((await one.next()).payload.message.id)
      await two.next()
    }
    const [first, , last] = ids
    two.send({ type: 'message.read', payload: { message_id: last } })
    t.match(await one.next(), { type: 'message.read', payload: { message_id: last } })
    for (const message_id of [first, last, first]) two.send({ type: 'message.read', payload: { message_id } })
    t.strictSame(await heardSoFar(two), [])
    t.strictSame(await heardSoFar(one), [])
    t.equal(await app.lactea.gateway.store.countUnread(bob, GROUP), 0)
  })

  t.test('counts for everything before it, and what is deleted is not unread', async (t) => {
    const app = await startPeople(t)
    const [one, two] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
    const ids: number[] = []
    for (const words of ['a', 'b', 'c', 'd']) {
      one.send(say(words))
      ids.push((await one.next()).payload.message.id)
      await two.next()
    }
    const { store } = app.lactea.gateway
    t.equal(await store.countUnread(bob, GROUP), 4)
    t.equal(await store.countUnread(bob), 4)
    t.equal(await store.countUnread(alice), 0, 'what somebody says they have read')
    two.send({ type: 'message.read', payload: { message_id: ids[1] } })
    t.match(await one.next(), { type: 'message.read' })
    t.equal(await store.countUnread(bob), 2)
    one.send({ type: 'message.delete', payload: { message_id: ids[3] } })
    t.match(await one.next(), { type: 'message.delete' })
    t.equal(await store.countUnread(bob), 1)
  })

  t.test('of what is not theirs is not found', async (t) => {
    const app = await startPeople(t)
    const [one, three] = [await openDevice(t, app, alice), await openDevice(t, app, carol)]
    one.send(say('private'))
    const { id } = (await one.next()).payload.message
    for (const message_id of [id, id + 1000]) {
      three.send({ type: 'message.read', payload: { message_id } })
      t.match(await three.next(), { type: 'error', payload: { error_code: 'NOT_FOUND' } })
    }
  })
})
