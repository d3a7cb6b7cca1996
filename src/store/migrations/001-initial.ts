/**
 * Times are Unix seconds. Ids of accounts start at 10001, of groups at 100001 and of private chats above 1000000000, so
 * that a bare number is never ambiguous.
 */
export const initial = `
create table meta(
  key text primary key,
  value text not null
) strict, without rowid;

create table accounts(
  id integer primary key,
  kind text not null check (kind in ('person', 'bot')),
  username text unique,
  phone text unique,
  nickname text not null,
  bio text not null default '',
  avatar_url text not null default '',
  password_hash text,
  created_at integer not null,
  disabled_at integer
) strict;

create table tokens(
  digest blob primary key,
  account_id integer not null references accounts(id),
  created_at integer not null
) strict, without rowid;
create index tokens_account on tokens(account_id);

create table sessions(
  id text primary key,
  account_id integer not null references accounts(id),
  refresh_id text not null,
  created_at integer not null,
  expires_at integer not null
) strict, without rowid;
create index sessions_account on sessions(account_id);
create index sessions_end on sessions(expires_at);

-- Two rows per friendship, one as each side sees it.
create table friendships(
  account_id integer not null references accounts(id),
  friend_id integer not null references accounts(id),
  remark text not null default '',
  created_at integer not null,
  primary key (account_id, friend_id)
) strict, without rowid;

create table chats(
  id integer primary key,
  kind text not null check (kind in ('private', 'group')),
  name text not null default '',
  owner_id integer references accounts(id),
  low_id integer references accounts(id),
  high_id integer references accounts(id),
  last_seq integer not null default 0,
  last_event_seq integer not null default 0,
  member_count integer not null default 0,
  is_muted integer not null default 0,
  created_at integer not null,
  updated_at integer not null
) strict;
create unique index chats_parties on chats(low_id, high_id) where kind = 'private';

create table members(
  chat_id integer not null references chats(id),
  account_id integer not null references accounts(id),
  role text not null check (role in ('owner', 'admin', 'member')),
  card text not null default '',
  title text not null default '',
  muted_until integer not null default 0,
  joined_at integer not null,
  last_sent_at integer not null default 0,
  read_seq integer not null default 0,
  primary key (chat_id, account_id)
) strict, without rowid;
create index members_account on members(account_id, chat_id);

-- Which events of a chat an account may see: from joining to leaving, both included; one row per stay.
create table stays(
  account_id integer not null,
  chat_id integer not null,
  from_event_seq integer not null,
  to_event_seq integer,
  primary key (account_id, chat_id, from_event_seq)
) strict, without rowid;
create index stays_chat on stays(chat_id, from_event_seq);

-- A message and the event of its creation have the same id, so the log need not hold its words a second time.
create table messages(
  id integer primary key,
  chat_id integer not null,
  seq integer not null,
  sender_id integer not null,
  time integer not null,
  segments text not null,
  recalled_at integer,
  recalled_by integer
) strict;
create unique index messages_position on messages(chat_id, seq);

create table events(
  id integer primary key,
  chat_id integer not null,
  event_seq integer not null,
  kind text not null,
  time integer not null,
  data text not null
) strict;

create table cursors(
  name text primary key,
  event_id integer not null
) strict, without rowid;
`
