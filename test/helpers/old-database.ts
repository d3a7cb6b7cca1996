import { DatabaseSync } from 'node:sqlite'
import { initial } from '../../src/store/migrations/001-initial.ts'

/** A database of the first schema: two friends in a group, two messages, of which one was recalled. */
export function makeOldDatabase(path: string): void {
  const old = new DatabaseSync(path)
  old.exec(initial)
  old.exec(`
    pragma user_version = 1;
    insert into accounts(id, kind, username, nickname, created_at) values
      (10001, 'bot', null, 'Bot', 1), (10002, 'person', 'alice', 'Alice', 2);
    insert into sessions(id, account_id, refresh_id, created_at, expires_at) values ('s', 10002, 'r', 1, 9);
    insert into friendships(account_id, friend_id, created_at) values (10001, 10002, 3), (10002, 10001, 3);
    insert into chats(id, kind, name, owner_id, last_seq, last_event_seq, member_count, created_at, updated_at)
      values (100001, 'group', 'Old group', 10002, 2, 3, 2, 4, 5);
    insert into members(chat_id, account_id, role, joined_at, read_seq) values
      (100001, 10001, 'member', 4, 0), (100001, 10002, 'owner', 4, 1);
    insert into stays(account_id, chat_id, from_event_seq) values (10001, 100001, 1), (10002, 100001, 1);
    insert into events(id, chat_id, event_seq, kind, time, data) values
      (1, 100001, 1, 'message.created', 5, ''), (2, 100001, 2, 'message.created', 6, ''),
      (3, 100001, 3, 'message.recalled', 7, '{"messageId":2,"seq":2,"senderId":10001,"operatorId":10001}');
    insert into messages(id, chat_id, seq, sender_id, time, segments, recalled_at, recalled_by) values
      (1, 100001, 1, 10001, 5, '[{"type":"text","text":"from long ago"}]', null, null),
      (2, 100001, 2, 10001, 6, '[]', 7, 10001);
  `)
  old.close()
}
