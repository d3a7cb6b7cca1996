/** What people need beyond talking: edits, receipts, contacts, bans, files, calls, notices, further ways to sign in. */
export const people = `
alter table accounts add column last_seen_at integer not null default 0;
alter table accounts add column updated_at integer not null default 0;
alter table accounts add column is_admin integer not null default 0;
-- Every event up to this id has reached a device of the account.
alter table accounts add column delivered_id integer not null default 0;

-- Where a device of this session was when it was last heard of: it goes on from there (IM-Suite 2.10).
alter table sessions add column cursor integer;
alter table sessions add column cursor_at integer not null default 0;

alter table chats add column description text not null default '';
-- In a channel only the owner and the admins speak.
alter table chats add column is_channel integer not null default 0;

alter table members add column delivered_seq integer not null default 0;

alter table messages add column edited_at integer;
alter table messages add column rev integer not null default 0;
-- The sender's own name for the message: the same name is the same message.
alter table messages add column client_id text;
-- What is left of a chat is counted by what was taken back.
create index messages_recalled on messages(chat_id) where recalled_at is not null;
create unique index messages_client on messages(chat_id, sender_id, client_id) where client_id is not null;

-- What a message said before it was edited, by the revision that it was.
create table revisions(
  message_id integer not null references messages(id),
  rev integer not null,
  segments text not null,
  edited_at integer not null,
  primary key (message_id, rev)
) strict, without rowid;

create unique index events_position on events(chat_id, event_seq);

alter table friendships add column is_muted integer not null default 0;
-- Who has an account in their list hears whether it is there.
create index friendships_friend on friendships(friend_id);

create table blocks(
  account_id integer not null references accounts(id),
  blocked_id integer not null references accounts(id),
  created_at integer not null,
  primary key (account_id, blocked_id)
) strict, without rowid;
create index blocks_blocked on blocks(blocked_id, account_id);

create table bans(
  chat_id integer not null references chats(id),
  account_id integer not null references accounts(id),
  operator_id integer not null,
  created_at integer not null,
  primary key (chat_id, account_id)
) strict, without rowid;

-- Bytes are kept once, under their SHA-256, outside of the database; a row is one upload of them.
create table files(
  -- Links name it, so a number is never given a second time.
  id integer primary key autoincrement,
  owner_id integer not null references accounts(id),
  sha256 text not null,
  name text not null,
  mime text not null,
  size integer not null,
  width integer not null default 0,
  height integer not null default 0,
  duration_s integer not null default 0,
  created_at integer not null
) strict;
create index files_owner on files(owner_id);
create index files_content on files(sha256);

create table message_files(
  message_id integer not null references messages(id),
  file_id integer not null references files(id),
  chat_id integer not null,
  primary key (message_id, file_id)
) strict, without rowid;
create index message_files_file on message_files(file_id, chat_id);

-- Bytes that no file has: to be removed as soon as nobody works on them.
create table loose_contents(
  sha256 text primary key
) strict, without rowid;

create table calls(
  id text primary key,
  caller_id integer not null references accounts(id),
  callee_id integer not null references accounts(id),
  kind text not null check (kind in ('audio', 'video')),
  status text not null check (status in ('ringing', 'active', 'ended', 'missed', 'rejected')),
  reason text,
  created_at integer not null,
  answered_at integer,
  ended_at integer
) strict, without rowid;
create index calls_caller on calls(caller_id, created_at);
create index calls_callee on calls(callee_id, created_at);

-- One live call per account: whoever has a row here is busy.
create table active_calls(
  account_id integer primary key,
  call_id text not null references calls(id)
) strict;

create table notices(
  id integer primary key,
  -- A JSON list of account ids, or null for everybody.
  audience text,
  title text not null,
  message text not null,
  kind text not null check (kind in ('info', 'warning', 'error', 'success')),
  action_url text not null default '',
  created_at integer not null
) strict;

create table invites(
  digest blob primary key,
  created_at integer not null,
  expires_at integer not null,
  used_by integer references accounts(id)
) strict, without rowid;

-- Who an account is to a foreign issuer of tokens.
create table identities(
  issuer text not null,
  subject text not null,
  account_id integer not null references accounts(id),
  primary key (issuer, subject)
) strict, without rowid;
`
