/** What Milky 1.2 has words for and people's protocols have not: requests, announcements, reactions, folders, forwards … */
export const bots = `
alter table chats add column avatar_url text not null default '';
-- The file behind it.
alter table chats add column avatar_file_id integer references files(id);
create index chats_avatar on chats(avatar_file_id) where avatar_file_id is not null;
-- The words of the newest announcement.
alter table chats add column announcement text not null default '';

-- Who may see an event that belongs to no chat (chat_id 0).
create table event_viewers(
  event_id integer not null,
  account_id integer not null,
  primary key (event_id, account_id)
) strict, without rowid;

create table friend_requests(
  -- Given once, so that the newest is the largest.
  id integer primary key autoincrement,
  initiator_id integer not null references accounts(id),
  target_id integer not null references accounts(id),
  state text not null check (state in ('pending', 'accepted', 'rejected')),
  comment text not null default '',
  via text not null default '',
  created_at integer not null,
  answered_at integer
) strict;
create index friend_requests_target on friend_requests(target_id, id);
create index friend_requests_pair on friend_requests(initiator_id, target_id, id);
-- One open question between two accounts.
create unique index friend_requests_open on friend_requests(initiator_id, target_id) where state = 'pending';

-- Requests that somebody has to answer, and what happened to members: Milky's notifications; invitations are numbered among them.
create table group_requests(
  seq integer primary key autoincrement,
  chat_id integer not null references chats(id),
  type text not null check (type in ('join_request', 'invited_join_request', 'invitation', 'admin_change', 'kick', 'quit')),
  initiator_id integer not null,
  -- Whom it is about; the initiator for those who ask for themselves.
  target_id integer not null,
  operator_id integer,
  comment text not null default '',
  state text check (state in ('pending', 'accepted', 'rejected')),
  is_set integer not null default 0,
  created_at integer not null
) strict;
create index group_requests_chat on group_requests(chat_id, seq, type);
-- What is over: the oldest of it goes.
create index group_requests_over on group_requests(chat_id, seq) where state is not 'pending';
create index group_requests_target on group_requests(target_id, seq);
create index group_requests_initiator on group_requests(initiator_id) where state = 'pending';
create unique index group_requests_open on group_requests(chat_id, type, target_id) where state = 'pending';

create table announcements(
  id integer primary key autoincrement,
  chat_id integer not null references chats(id),
  account_id integer not null references accounts(id),
  content text not null,
  file_id integer references files(id),
  created_at integer not null
) strict;
create index announcements_chat on announcements(chat_id, id);
create index announcements_file on announcements(file_id) where file_id is not null;

create table essence(
  -- The latest marked has the largest.
  id integer primary key autoincrement,
  chat_id integer not null references chats(id),
  message_id integer not null unique references messages(id),
  operator_id integer not null references accounts(id),
  created_at integer not null
) strict;
create index essence_chat on essence(chat_id, id);

create table reactions(
  message_id integer not null references messages(id),
  account_id integer not null references accounts(id),
  type text not null check (type in ('face', 'emoji')),
  reaction text not null,
  created_at integer not null,
  primary key (message_id, type, reaction, account_id)
) strict, without rowid;

create table pins(
  account_id integer not null references accounts(id),
  scene text not null check (scene in ('friend', 'group')),
  peer_id integer not null,
  created_at integer not null,
  primary key (account_id, scene, peer_id)
) strict, without rowid;

-- How often an account was ever liked; the days below go after a while.
alter table accounts add column like_count integer not null default 0;
-- How often somebody liked somebody on a day (days since 1970, UTC).
create table likes(
  target_id integer not null references accounts(id),
  day integer not null,
  account_id integer not null references accounts(id),
  count integer not null,
  primary key (target_id, day, account_id)
) strict, without rowid;
create index likes_day on likes(day);

-- Stickers that an account has sent, to be used again; the newest are kept.
create table custom_faces(
  account_id integer not null references accounts(id),
  sha256 text not null,
  file_id integer not null references files(id) on delete cascade,
  used_at integer not null,
  primary key (account_id, sha256)
) strict, without rowid;
create index custom_faces_file on custom_faces(file_id);

create table group_folders(
  id integer primary key autoincrement,
  chat_id integer not null references chats(id),
  name text not null,
  creator_id integer not null references accounts(id),
  created_at integer not null,
  updated_at integer not null
) strict;
create unique index group_folders_name on group_folders(chat_id, name);

-- Files of a group's folder, each brought by a message that shows it.
create table group_files(
  chat_id integer not null references chats(id),
  file_id integer not null references files(id),
  -- Null is the root.
  folder_id integer references group_folders(id),
  message_id integer not null references messages(id),
  name text not null,
  uploader_id integer not null references accounts(id),
  downloads integer not null default 0,
  created_at integer not null,
  primary key (chat_id, file_id)
) strict, without rowid;
create index group_files_folder on group_files(chat_id, folder_id);
create index group_files_message on group_files(message_id);
create index group_files_file on group_files(file_id);
-- Those that were sent before there were folders.
insert or ignore into group_files(chat_id, file_id, message_id, name, uploader_id, created_at)
select m.chat_id, f.id, m.id, f.name, m.sender_id, m.time
from message_files mf
join messages m on m.id = mf.message_id and m.recalled_at is null
join chats c on c.id = m.chat_id and c.kind = 'group'
join files f on f.id = mf.file_id
where exists(
  select 1 from json_each(m.segments) s where s.value ->> '$.kind' = 'file' and s.value ->> '$.file.fileId' = f.id
)
order by m.id;

-- Messages that were passed on together, as a JSON list.
create table forwards(
  id integer primary key autoincrement,
  title text not null,
  preview text not null,
  summary text not null,
  messages text not null
) strict;

create table message_forwards(
  message_id integer not null references messages(id),
  forward_id integer not null references forwards(id),
  chat_id integer not null,
  primary key (message_id, forward_id)
) strict, without rowid;
create index message_forwards_forward on message_forwards(forward_id, chat_id);
`
