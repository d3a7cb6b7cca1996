import { type Static, type TLiteral, type TProperties, type TSchema, type TUnion, Type } from '@sinclair/typebox'
import { MAX_GROUP_ID } from '../core/store.ts'
import type { ShapeName } from './shapes.ts'

/**
 * What the configuration reader knows about a key beyond JSON Schema. TypeBox keeps foreign keywords, so the one
 * schema below is type, default, check, reference page and masking rule at once.
 */
export interface KeySchema {
  type?: string
  description?: string
  default?: unknown
  const?: unknown
  anyOf?: KeySchema[]
  properties?: Record<string, KeySchema>
  items?: KeySchema | KeySchema[]
  minimum?: number
  maximum?: number
  minItems?: number
  /** Never printed, masked as `***`, and may be given as `<key>_file`. */
  secret?: boolean
  /** A URL that may carry a password: masked piece by piece, so that the reader still sees where it points. */
  url?: boolean
  /** Accepts text with a unit as well; the value is always a number of this unit. */
  unit?: 'bytes' | 'ms'
  /** A rule for text, see `shapes.ts`. */
  is?: ShapeName
}

type TChoice<T extends string> = TUnion<TLiteral<T>[]>

const KiB = 1024
const MiB = 1024 * KiB
const MAX_ID = 2_147_483_647

const section = <T extends TProperties>(properties: T, description: string) =>
  Type.Object(properties, { additionalProperties: false, description })

const text = (description: string, options: KeySchema = {}) => Type.String({ description, is: 'text', ...options })

const integer = (minimum: number, maximum: number, description: string, options: KeySchema = {}) =>
  Type.Integer({ minimum, maximum, description, ...options })

const flag = (value: boolean, description: string) => Type.Boolean({ description, default: value })

const choice = <const T extends string>(
  values: readonly T[],
  description: string,
  options: KeySchema = {}
): TChoice<T> =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description, ...options }
  )

const listOf = <T extends TSchema>(items: T, description: string) => Type.Array(items, { description, default: [] })

/** A key that may be left out; absent is `null`, so that readers of the configuration meet one kind of nothing. */
const optional = <T extends TSchema>(schema: T) =>
  Type.Union([schema, Type.Null()], { default: null, description: schema.description ?? '' })

const secret = (description: string, is: ShapeName) => optional(text(description, { secret: true, is }))

const size = (bytes: number, description: string) =>
  integer(1, Number.MAX_SAFE_INTEGER, description, { default: bytes, unit: 'bytes' })

const count = (value: number, description: string) =>
  integer(1, Number.MAX_SAFE_INTEGER, description, { default: value })

const duration = (ms: number, description: string) =>
  integer(1, 2_147_483_647, description, { default: ms, unit: 'ms' })

const accountId = (description: string) => integer(10_001, MAX_ID, description)
const groupId = (description: string) => integer(100_001, MAX_GROUP_ID, description)

const format = choice(['draft', 'v1'], 'The dialect of Milky that is spoken there: the draft, or 1.2 as `v1`.', {
  default: 'draft'
})

/** What can be open at an address. `ops` is `/metrics`; whether the gateway lives is told at every address. */
export const DOORS = ['milky', 'im', 'maim', 'pages', 'ops'] as const
export type Door = (typeof DOORS)[number]

const Tls = section(
  {
    cert: text('File of the certificate, followed by those between it and its authority (PEM).'),
    key: text('File of its key (PEM, without a passphrase).'),
    ca: optional(text('File of the authorities that sign the certificates of clients (PEM).')),
    client_cert: choice(
      ['none', 'request', 'require'],
      'Whether clients are asked for a certificate; `request` lets them in without a good one, `require` is mutual TLS.',
      { default: 'none' }
    )
  },
  'Serve TLS without a reverse proxy.'
)
export type ServerTls = Static<typeof Tls>

const Listener = section(
  {
    host: optional(text('Address to listen on; that of server.host when left out.', { is: 'host' })),
    port: integer(0, 65_535, 'TCP port; 0 takes any free one.'),
    doors: listOf(choice(DOORS, 'Name of a door.'), 'Doors that are open here; empty opens all.'),
    tls: optional(Tls)
  },
  'A further address.'
)

const Server = section(
  {
    host: text('Address to listen on. A public address needs a token on every bot.', {
      is: 'host',
      default: '127.0.0.1'
    }),
    port: integer(0, 65_535, 'TCP port; 0 takes any free one.', { default: 3000 }),
    tls: optional(Tls),
    listeners: listOf(Listener, 'Further addresses, each with all doors or a choice of them.'),
    trusted_proxies: listOf(
      text('An address or network.', { is: 'cidr' }),
      'Addresses or CIDR networks whose X-Forwarded-* headers are believed.'
    ),
    public_url: optional(
      text(
        'Address under which clients reach the gateway, such as https://chat.example.org: links to files begin with it.',
        {
          is: 'base-url'
        }
      )
    ),
    bot_url: optional(
      text(
        'Address under which bots reach the gateway, such as http://gateway:3000 in a network of containers: what they fetch begins with it. public_url when left out.',
        { is: 'base-url' }
      )
    ),
    allowed_origins: listOf(
      text('An origin.', { is: 'origin' }),
      'Origins of other web pages that may call the gateway from a browser.'
    ),
    metrics_token: secret(
      'Whoever shows it as `Authorization: Bearer …` may read `/metrics`; without it only programs on this machine may.',
      'token'
    )
  },
  'Where the gateway listens.'
)

const Storage = section(
  {
    dir: text('Directory of the SQLite database, uploaded files and generated secrets.', { default: './data' }),
    database: optional(text('PostgreSQL address, instead of SQLite.', { secret: true, url: true })),
    nats: optional(text('NATS address, needed when several nodes share the database.', { secret: true, url: true }))
  },
  'Where the gateway keeps what it knows.'
)

const IceServer = section(
  {
    urls: Type.Array(text('An address.', { is: 'ice-url' }), {
      minItems: 1,
      description: 'Its addresses, such as `turn:turn.example.org:3478?transport=udp`.'
    }),
    secret: secret('What it shares with the gateway (`static-auth-secret` of coturn); TURN needs it.', 'secret')
  },
  'A STUN or TURN server.'
)

const Media = section(
  {
    folders: listOf(
      text('A folder.'),
      'Folders, relative to the working directory, below which bots may send files by `file://`; `media` in `data.dir` is one in any case.'
    ),
    allowed_networks: listOf(
      text('An address or network.', { is: 'cidr' }),
      'Addresses or CIDR networks of your own that bots may have media fetched from, such as `172.18.0.0/16`; public ones are open.'
    ),
    timeout: integer(1, 25_000, 'How long fetching all media of one call may take.', { default: 20_000, unit: 'ms' })
  },
  'Where the media that bots send comes from.'
)

const Outgoing = section(
  {
    guard: flag(
      false,
      'Whether webhooks, reverse WebSockets, links to brains and jwks_url may only lead to public addresses and to allowed_networks. For when not only the operator writes them.'
    ),
    allowed_networks: listOf(
      text('An address or network.', { is: 'cidr' }),
      'Addresses or CIDR networks of your own that they may lead to nevertheless, such as `172.18.0.0/16`.'
    )
  },
  'Where the gateway may dial what is configured.'
)

const Im = section(
  {
    registration: choice(
      ['open', 'invite', 'closed'],
      'Who may make an account: everybody, who has an invitation (`lactea user invite`), or nobody.',
      { default: 'open' }
    ),
    jwt_secret: secret(
      'Key that signs session tokens; generated and kept in the data directory when left out.',
      'secret'
    ),
    accept_untyped_tokens: flag(
      true,
      'Tokens that another IM-Suite server with the same jwt_secret has issued count here too.'
    ),
    auth_reject: choice(
      ['close', 'http401'],
      'How a socket without a valid token is refused: `close` tells why in a frame, which browsers can read.',
      { default: 'close' }
    ),
    late_auth: flag(false, 'A socket without a token may send it in its first frame, within ten seconds.'),
    lenient: flag(true, 'Frames may say `data` for `payload` and write the keys in camel case.'),
    replay: flag(true, 'What a device missed while it was away is sent again when it comes back.'),
    edit_window: integer(0, Number.MAX_SAFE_INTEGER, 'Seconds for which a message can be edited; 0 is for ever.', {
      default: 0
    }),
    ice_servers: listOf(IceServer, 'STUN and TURN servers that people are told of for their calls.'),
    jwks_url: optional(text('Trust the tokens of another issuer, whose keys are here.', { is: 'http-url', url: true })),
    jwks_issuer: optional(text('What the claim `iss` of these tokens must say; should be set.')),
    jwks_audience: optional(text('What the claim `aud` of these tokens must say; should be set.'))
  },
  'The doors for people (IM-Suite).'
)

export const WebhookConfig = section(
  {
    url: text('Address that events are posted to.', { is: 'http-url', url: true }),
    access_token: secret('Sent along as `Authorization: Bearer …`.', 'token'),
    secret: secret('Key that signs every delivery (Standard Webhooks), `whsec_` and base64.', 'webhook-secret'),
    previous_secret: secret(
      'The key before it: while it stands here every delivery is signed with both.',
      'webhook-secret'
    ),
    format,
    events: optional(
      Type.Array(text('Name of an event.', { is: 'event' }), {
        minItems: 1,
        description: 'Names of the events to send, as its format calls them; all when left out.'
      })
    ),
    chats: optional(
      Type.Array(integer(1, Number.MAX_SAFE_INTEGER, 'A group, or the account of a friend.'), {
        minItems: 1,
        description:
          'Chats whose events are sent: numbers of groups, and of friends for private chats; all when left out.'
      })
    ),
    parallel: integer(1, 64, 'Chats that it is told about at the same time; with 1 all events come in one order.', {
      default: 8
    }),
    timeout: integer(1, 600_000, 'How long one attempt may take.', { default: 10_000, unit: 'ms' })
  },
  'A webhook.'
)

export const ReverseConfig = section(
  {
    url: text('WebSocket address that the gateway dials.', { is: 'ws-url', url: true }),
    access_token: secret('Sent along as `access_token` in the query.', 'token'),
    format
  },
  'A reverse WebSocket.'
)

const ClientTls = section(
  {
    ca: optional(
      text('Authorities that sign the certificate of the server (PEM file); those of the system by default.')
    ),
    cert: optional(text('Certificate that we show (PEM file), for servers that want one.')),
    key: optional(text('Key of that certificate (PEM file).')),
    verify: flag(true, 'Whether the certificate of the server is looked at; false trusts whoever answers.'),
    check_host: flag(true, 'Whether the certificate has to name the host of the address.')
  },
  'How a wss:// address is dialled.'
)

const notices = choice(
  ['notify', 'text'],
  'How joins, mutes, recalls and the like are told: as the segment `notify`, or in words for a MaiBot core of 1.0 and newer, which loses such segments.',
  { default: 'notify' }
)

export const MaimConfig = section(
  {
    url: text('WebSocket address of a maim_message server.', { is: 'ws-url', url: true }),
    mode: choice(['legacy', 'api-server'], 'Which of the two dialects the server speaks.'),
    platform: text('Name under which messages are filed over there.', { default: 'lactea' }),
    token: secret('Token of the legacy dialect.', 'token'),
    api_key: secret('Key of the API-Server dialect.', 'token'),
    max_frame: optional(
      size(MiB, 'Largest frame that the server takes; by default 100 MiB for legacy and 16 MiB for api-server.')
    ),
    notices,
    tls: optional(ClientTls)
  },
  'A link to a maim_message server.'
)

export const BotConfig = section(
  {
    id: accountId('Account number of the bot.'),
    nickname: text('Name that people see; one that the bot gives itself counts until this one changes.', {
      default: 'Bot <id>'
    }),
    access_token: secret('Token the bot signs in with; made by `lactea bot add` when left out.', 'token'),
    report_self: flag(false, 'The bot also hears the messages it sent itself.'),
    friend_requests: choice(
      ['ask', 'accept'],
      'Who adds the bot is its friend when the bot says so (`accept_friend_request`), or at once.',
      { default: 'ask' }
    ),
    webhooks: listOf(WebhookConfig, 'Addresses that receive the events of the bot by POST.'),
    reverse_ws: listOf(ReverseConfig, 'WebSocket servers that the gateway dials for the bot.'),
    maim: listOf(MaimConfig, 'maim_message servers that the gateway dials for the bot.')
  },
  'A bot.'
)

const MaimKey = section(
  {
    api_key: text('The key.', { secret: true, is: 'token' }),
    account: accountId('Account number of the bot that the key speaks for.'),
    chats: flag(
      true,
      'Whether its holder hears and speaks in the chats of the bot; false is for adapters that only talk to other keys.'
    ),
    notices,
    max_frame: optional(
      size(MiB, 'Largest frame that its holder takes; by default 1 MiB until it shows that it is newer.')
    )
  },
  'A key of the API-Server door.'
)

const Maim = section(
  {
    keys: listOf(MaimKey, 'Who may connect to our API-Server door, and as whom.'),
    legacy_tokens: Type.Array(text('A token.', { secret: true, is: 'token' }), {
      default: [],
      secret: true,
      description: 'Tokens of the legacy door; empty needs no token and is for loopback only.'
    }),
    auth_reject: choice(
      ['http401', 'close1000'],
      'How the API-Server door refuses a key: in the handshake, or as the old library does, after it.',
      { default: 'http401' }
    ),
    compress: flag(false, 'Whether permessage-deflate is agreed to; it costs 90 KiB and more per connection.')
  },
  'Doors for maim_message clients.'
)

const Account = section(
  {
    id: accountId('Account number.'),
    kind: choice(['person', 'bot'], 'Whether a person or a bot.'),
    username: optional(text('Name to sign in with.')),
    password: secret('Password to sign in with. Who changes theirs keeps it until this one changes.', 'secret'),
    nickname: optional(text('Name that others see at first; people may change it.')),
    phone: optional(text('Phone number.'))
  },
  'An account.'
)

const Group = section(
  {
    id: groupId('Number of the group.'),
    name: text('Name of the group.'),
    owner: accountId('Account that owns the group.'),
    admins: listOf(accountId('An account.'), 'Accounts that help the owner.'),
    members: listOf(accountId('An account.'), 'Accounts without a special role.')
  },
  'A group.'
)

const Provision = section(
  {
    accounts: listOf(Account, 'People and bots that exist.'),
    friends: listOf(
      Type.Tuple([accountId('One side.'), accountId('The other side.')]),
      'Pairs of accounts that are friends, such as `[10001, 10011]`.'
    ),
    groups: listOf(Group, 'Groups that exist.')
  },
  'Made sure of at every start; nothing is ever removed by it.'
)

export const Limits = section(
  {
    http_body: size(32 * MiB, 'Largest HTTP body; Milky actions carry base64 media.'),
    milky_frame: size(32 * MiB, 'Largest frame from a Milky client.'),
    im_frame: size(64 * KiB, 'Largest frame from a person.'),
    maim_frame: size(16 * MiB, 'Largest frame from a maim API-Server client.'),
    maim_legacy_frame: size(104_857_600, 'Largest frame from a maim legacy client, as in the real server.'),
    maim_keep_time: duration(86_400_000, 'How long messages are kept for a maim peer that is away.'),
    maim_keep_count: count(10_000, 'Messages kept for one maim peer that is away; the oldest go first.'),
    maim_repeat: duration(5000, 'How long a maim peer may take to acknowledge before it is told again.'),
    maim_keep_bytes: size(64 * MiB, 'Bytes kept for one maim peer that is away; the oldest go first.'),
    log_age: integer(1000, Number.MAX_SAFE_INTEGER, 'How long events are kept for those who come back.', {
      default: 7 * 86_400_000,
      unit: 'ms'
    }),
    log_count: count(1_000_000, 'Events that are kept for those who come back; the oldest go first.'),
    webhook_waiting: count(10_000, 'Events that wait in the database for one webhook; then it stops reading the log.'),
    webhook_attempts: count(1000, 'Tries of each webhook that are remembered; the oldest go first.'),
    connection_buffer: size(4 * MiB, 'Unsent bytes of one connection before it is cut off as slow.'),
    http_rate: count(60_000, 'Requests per minute of one token or address.'),
    upgrade_rate: count(
      600,
      'WebSocket handshakes per minute of one address; bots with a valid token count as requests.'
    ),
    sign_in_rate: count(30, 'Sign-ins, registrations and refreshed tokens per minute of one address.'),
    login_rate: count(5, 'Failed sign-ins per minute of one address.'),
    login_failures: count(
      20,
      'Failed sign-ins per minute of one account, from all addresses together that it has not signed in from before.'
    ),
    action_time: duration(25_000, 'How long a caller waits for an action; what takes longer goes on without it.'),
    idempotency_time: duration(86_400_000, 'How long it is known what was done under an idempotency key.'),
    audit_entries: count(10_000, 'Entries of the audit that are kept, the newest.'),
    frame_rate: count(2000, 'Frames per second on one socket of a bot.'),
    im_frame_rate: count(20, 'Frames per second on one socket of a person.'),
    im_frame_burst: count(60, 'Frames that one socket of a person may send at once.'),
    im_buffer: size(MiB, 'Unsent bytes of one socket of a person before it is cut off; typing and the like go first.'),
    im_connections: count(10, 'Sockets of one person; a further one takes the place of the oldest.'),
    im_user_connects: count(10, 'Sockets that one person may open per minute.'),
    im_address_connects: count(60, 'Sockets of people per minute of one address.'),
    im_message_rate: count(5, 'Messages, edits and deletions per second of one person.'),
    im_message_burst: count(20, 'Messages, edits and deletions of one person at once.'),
    im_chat_rate: count(50, 'Messages of people per second in one chat.'),
    im_read_rate: count(3, 'Read marks per second of one person.'),
    im_read_burst: count(10, 'Read marks of one person at once.'),
    im_read_interval: duration(1000, 'One reader is told about in one chat at most this often.'),
    im_typing_ttl: duration(30_000, 'How long somebody types who does not say so again.'),
    im_typing_members: count(200, 'Members online up to which a chat hears who is typing.'),
    im_presence_grace: duration(10_000, 'How long somebody may be away before others are told.'),
    im_presence_interval: duration(5000, 'Others are told about one person at most this often.'),
    im_presence_audience: count(500, 'Accounts that are told about one person.'),
    im_ring_timeout: duration(30_000, 'How long a call rings.'),
    im_call_grace: duration(10_000, 'How long a call waits for a device that lost its connection.'),
    im_offer_burst: count(3, 'Calls that one person may begin at once; a further one every three seconds.'),
    im_ping: duration(25_000, 'How often the gateway pings a socket of a person.'),
    im_silence: duration(75_000, 'How long a socket of a person may say nothing.'),
    group_members: count(5000, 'Members of one group.'),
    file_size: size(100 * MiB, 'Largest file that a person may upload.'),
    message_text: count(4096, 'Code points of text in one message of a person.'),
    bot_message_text: count(16_384, 'Code points of text in one message of a bot.')
  },
  'Every limit by name.'
)

const Log = section(
  {
    level: choice(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'Least urgent lines that are written.',
      {
        default: 'info'
      }
    )
  },
  'What is written to the log.'
)

/** The whole configuration: type, defaults, checks and reference page come from here and from nowhere else. */
export const Config = section(
  {
    server: Server,
    data: Storage,
    media: Media,
    outgoing: Outgoing,
    im: Im,
    bots: listOf(BotConfig, 'Bots and where their events go.'),
    maim: Maim,
    provision: Provision,
    limits: Limits,
    log: Log
  },
  'The configuration of the gateway.'
)

export type Config = Static<typeof Config>
export type BotConfig = Static<typeof BotConfig>
export type WebhookConfig = Static<typeof WebhookConfig>
export type ReverseConfig = Static<typeof ReverseConfig>
export type MaimConfig = Static<typeof MaimConfig>
export type Limits = Static<typeof Limits>
export type Provision = Static<typeof Provision>

export const configSchema: KeySchema = Config

/** What stands behind "or null": the schema a given value is checked against. */
export function unwrap(schema: KeySchema): KeySchema {
  const inner = schema.anyOf?.find((option) => option.type !== 'null')
  return inner && schema.anyOf?.some((option) => option.type === 'null') ? inner : schema
}

/** The words of a choice, or undefined when the schema is none. */
export function choicesOf(schema: KeySchema): string[] | undefined {
  return schema.anyOf?.map((option) => String(option.const))
}

/** The schema one step down: a property by name, a list entry by index; undefined when there is none. */
export function stepInto(schema: KeySchema, step: string | number): KeySchema | undefined {
  const inner = unwrap(schema)
  if (typeof step === 'number') return Array.isArray(inner.items) ? inner.items[step] : inner.items
  // hasOwn, because `constructor` and `__proto__` are things people can write into a file
  return inner.properties && Object.hasOwn(inner.properties, step) ? inner.properties[step] : undefined
}
