import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { openSqliteStore } from '../../src/store/index.ts'
import { initial } from '../../src/store/migrations/001-initial.ts'
import { people } from '../../src/store/migrations/002-people.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { makeOldDatabase } from '../helpers/old-database.ts'

t.test('a database of the first schema keeps what is in it and takes what is new', async (t) => {
  const path = join(makeDirectory(t), 'lactea.db')
  makeOldDatabase(path)

  const store = await openSqliteStore({ path })
  t.teardown(() => store.close())
  t.match(await store.findAccount(10002), { nickname: 'Alice', isAdmin: false })
  t.match(await store.findSession('s'), { accountId: 10002, cursor: undefined, cursorAt: 0 })
  t.match(await store.listMessages({ chatId: 100001, limit: 10 }), [{ segments: [{ text: 'from long ago' }] }])
  const { events } = await store.readEvents(10002, 0, 10)
  t.strictSame(
    events.map(({ kind }) => kind),
    ['message.created', 'message.recalled']
  )

  const edited = await store.editMessage({
    chatId: 100001,
    seq: 1,
    time: 8,
    edit: () => [{ type: 'text', text: 'said anew' }]
  })
  t.match(edited, { rev: 1, editedAt: 8 })
  t.match(await store.listRevisions(1), [{ rev: 0, segments: [{ text: 'from long ago' }], time: 5 }])
  const { message } = await store.appendMessage({
    chatId: 100001,
    senderId: 10001,
    segments: [{ type: 'text', text: 'new' }],
    time: 9,
    clientId: 'mine',
    check: () => {}
  })
  t.match(message, { seq: 3, clientId: 'mine' })
  t.equal(await store.countUnread(10002, 100001), 1)
  t.match(await store.readChatEvents(10002, 100001, 3, 10), [{ eventSeq: 4 }, { eventSeq: 5 }])
})

t.test('files that were sent before groups had folders are in the root of their group', async (t) => {
  const path = join(makeDirectory(t), 'lactea.db')
  const old = new DatabaseSync(path)
  old.exec(initial)
  old.exec(people)
  const show = (kind: string, fileId: number): string =>
    JSON.stringify([{ type: 'media', kind, file: { fileId, name: 'a' } }])
  old.exec(`
    pragma user_version = 2;
    insert into accounts(id, kind, nickname, created_at) values (10001, 'bot', 'Bot', 1), (10002, 'person', 'Alice', 2);
    insert into chats(id, kind, low_id, high_id, last_seq, created_at, updated_at) values
      (100001, 'group', null, null, 4, 4, 5), (1000000001, 'private', 10001, 10002, 1, 4, 5);
    insert into files(id, owner_id, sha256, name, mime, size, created_at) values
      (1, 10002, 'aa', 'plan.pdf', 'application/pdf', 7, 4), (2, 10002, 'bb', 'cat.png', 'image/png', 7, 4);
    insert into messages(id, chat_id, seq, sender_id, time, segments, recalled_at) values
      (1, 100001, 1, 10002, 5, '${show('file', 1)}', null), (2, 100001, 2, 10001, 6, '${show('file', 1)}', null),
      (3, 100001, 3, 10002, 7, '${show('image', 2)}', null), (4, 100001, 4, 10002, 8, '[]', 9),
      (5, 1000000001, 1, 10002, 9, '${show('file', 2)}', null);
    insert into message_files(message_id, file_id, chat_id) values
      (1, 1, 100001), (2, 1, 100001), (3, 2, 100001), (5, 2, 1000000001);
  `)
  old.close()

  const store = await openSqliteStore({ path })
  t.teardown(() => store.close())
  const { files } = await store.listGroupFiles(100001, undefined, { offset: 0, limit: 10 })
  t.match(files, [{ fileId: 1, messageId: 1, name: 'plan.pdf', uploaderId: 10002, createdAt: 5, folderId: undefined }])
  t.equal(files.length, 1)
  t.equal(await store.findGroupFile(1000000001, 2), undefined)
})
