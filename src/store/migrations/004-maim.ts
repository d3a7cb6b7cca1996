/** What maim peers say to each other while the other is away. */
export const maim = `
create table mail(
  id integer primary key autoincrement,
  road text not null,
  msg_id text not null,
  content text not null,
  created_at integer not null,
  unique (road, msg_id)
) strict;
create index mail_road on mail(road, id);
create index mail_age on mail(created_at);
`
