/** What promises rest on: deliveries that failed, effects of keyed calls, what operators did. */
export const guarantees = `
create table targets(
  id text primary key,
  bot_id integer not null references accounts(id),
  url text not null,
  state text not null default 'active' check (state in ('active', 'paused', 'disabled')),
  reason text not null default '',
  state_since integer not null,
  failing_since integer,
  cursor integer not null,
  -- Events behind the cursor that are delivered already, as JSON: few, and gone with the next step of the cursor.
  ahead text not null default '[]',
  taken_count integer not null default 0,
  failed_count integer not null default 0
) strict, without rowid;

-- Only what could not be delivered at the first try; what is delivered has no row.
create table deliveries(
  target_id text not null references targets(id),
  event_id integer not null,
  chat_id integer not null,
  state text not null check (state in ('waiting', 'dead')),
  attempts integer not null default 0,
  next_at integer not null,
  tried_at integer not null default 0,
  created_at integer not null,
  is_replay integer not null default 0,
  primary key (target_id, event_id)
) strict, without rowid;
create index deliveries_order on deliveries(target_id, state, is_replay, chat_id, event_id);

-- Written for every delivery: one tree, no index beside it; the numbers of each target count up by one.
create table attempts(
  target_id text not null,
  id integer not null,
  event_id integer not null,
  number integer not null,
  time integer not null,
  latency_ms integer not null,
  status integer,
  answer text not null,
  error text not null,
  primary key (target_id, id)
) strict, without rowid;

-- What a call answered that carried an idempotency key; written in the transaction of its effect.
create table effects(
  account_id integer not null,
  key text not null,
  action text not null,
  -- Of the parameters: the same key with other ones is a mistake.
  digest blob not null,
  outcome text not null,
  created_at integer not null,
  primary key (account_id, key)
) strict, without rowid;
create index effects_age on effects(created_at);

create table audit(
  id integer primary key autoincrement,
  time integer not null,
  operator text not null,
  action text not null,
  subject text not null default '',
  details text not null default '{}',
  ip text not null default ''
) strict;

-- Of a token its digest; a key has to be read to verify what it has signed, and is sealed.
create table operator_tokens(
  id integer primary key autoincrement,
  name text not null,
  digest blob unique,
  sealed_key blob,
  created_at integer not null,
  check ((digest is null) <> (sealed_key is null))
) strict;

-- Calls of operators that count once; the answer is sealed, since it may hold a new secret.
create table operator_calls(
  operator text not null,
  key text not null,
  digest blob not null,
  answer blob,
  created_at integer not null,
  primary key (operator, key)
) strict, without rowid;
create index operator_calls_age on operator_calls(created_at);
`
