import { resolve } from 'node:path'
import { Value } from '@sinclair/typebox/value'
import t, { type Test } from 'tap'
import {
  Config,
  ConfigErrors,
  type ConfigOverrides,
  configReference,
  describeConfig,
  isLoopback,
  loadConfig,
  maskSecrets,
  maskUrl,
  notYet
} from '../src/config.ts'

interface Given {
  file?: string
  env?: Record<string, string>
  argv?: ConfigOverrides
  /** Further files of the directory. */
  beside?: Record<string, string>
}

/** Loads the configuration in a directory of its own, where `file` is its lactea.yaml. */
function load(t: Test, { file, env = {}, argv = {}, beside = {} }: Given) {
  const cwd = t.testdir({ ...beside, ...(file !== undefined && { 'lactea.yaml': file }) })
  return loadConfig({ cwd, env, argv })
}

function findMistakes(t: Test, given: Given): ConfigErrors {
  try {
    load(t, given)
  } catch (error) {
    if (error instanceof ConfigErrors) return error
    throw error
  }
  throw new Error('the configuration was accepted')
}

/** A bot with further keys, each on a line of its own from line 3 on. */
const bot = (...lines: string[]): string => ['bots:', '  - id: 10001', ...lines.map((line) => `    ${line}`)].join('\n')

/** Every example is accepted, and `pick` finds the value in the result. */
function accepts(t: Test, examples: [name: string, given: Given, pick: (config: Config) => unknown, value: unknown][]) {
  for (const [name, given, pick, value] of examples) {
    void t.test(name, async (t) => {
      t.strictSame(pick(load(t, given).config), value)
    })
  }
}

/** Every example is refused with exactly these lines. */
function refuses(t: Test, examples: [name: string, given: Given, ...lines: string[]][]) {
  for (const [name, given, ...lines] of examples) {
    void t.test(name, async (t) => {
      t.strictSame(findMistakes(t, given).message.split('\n'), lines)
    })
  }
}

void t.test('defaults', async (t) => {
  void t.test('no configuration at all is a configuration', async (t) => {
    const { config, file } = load(t, {})
    t.equal(file, undefined)
    t.match(config, {
      server: {
        host: '127.0.0.1',
        port: 3000,
        tls: null,
        listeners: [],
        trusted_proxies: [],
        public_url: null,
        bot_url: null,
        allowed_origins: [],
        metrics_token: null
      },
      data: { dir: './data', database: null, nats: null },
      media: { folders: [], allowed_networks: [], timeout: 20_000 },
      outgoing: { guard: false, allowed_networks: [] },
      im: {
        registration: 'open',
        jwt_secret: null,
        accept_untyped_tokens: true,
        auth_reject: 'close',
        late_auth: false,
        lenient: true,
        replay: true,
        edit_window: 0,
        ice_servers: [],
        jwks_url: null,
        jwks_issuer: null,
        jwks_audience: null
      },
      bots: [],
      maim: { keys: [], legacy_tokens: [], auth_reject: 'http401', compress: false },
      provision: { accounts: [], friends: [], groups: [] },
      log: { level: 'info' }
    })
    t.ok(Value.Check(Config, config), 'the result is what the schema describes')
  })

  void t.test('the limits have the values of the specifications', async (t) => {
    t.strictSame(load(t, {}).config.limits, {
      http_body: 33_554_432,
      milky_frame: 33_554_432,
      im_frame: 65_536,
      maim_frame: 16_777_216,
      maim_legacy_frame: 104_857_600,
      maim_keep_time: 86_400_000,
      maim_keep_count: 10_000,
      maim_repeat: 5000,
      maim_keep_bytes: 67_108_864,
      log_age: 604_800_000,
      log_count: 1_000_000,
      webhook_waiting: 10_000,
      webhook_attempts: 1000,
      connection_buffer: 4_194_304,
      http_rate: 60_000,
      upgrade_rate: 600,
      sign_in_rate: 30,
      login_rate: 5,
      login_failures: 20,
      action_time: 25_000,
      idempotency_time: 86_400_000,
      audit_entries: 10_000,
      frame_rate: 2000,
      im_frame_rate: 20,
      im_frame_burst: 60,
      im_buffer: 1_048_576,
      im_connections: 10,
      im_user_connects: 10,
      im_address_connects: 60,
      im_message_rate: 5,
      im_message_burst: 20,
      im_chat_rate: 50,
      im_read_rate: 3,
      im_read_burst: 10,
      im_read_interval: 1000,
      im_typing_ttl: 30_000,
      im_typing_members: 200,
      im_presence_grace: 10_000,
      im_presence_interval: 5000,
      im_presence_audience: 500,
      im_ring_timeout: 30_000,
      im_call_grace: 10_000,
      im_offer_burst: 3,
      im_ping: 25_000,
      im_silence: 75_000,
      group_members: 5000,
      file_size: 104_857_600,
      message_text: 4096,
      bot_message_text: 16_384
    })
  })

  accepts(t, [
    ['an empty file is a configuration', { file: '' }, (config) => config.server.port, 3000],
    ['a file of comments is a configuration', { file: '# nothing\n' }, (config) => config.server.port, 3000],
    ['a section without keys has its defaults', { file: 'server:\nbots:\n' }, (config) => config.server.port, 3000],
    [
      'a bot of one line has everything else',
      { file: bot() },
      (config) => config.bots[0],
      {
        id: 10_001,
        nickname: 'Bot 10001',
        access_token: null,
        report_self: false,
        friend_requests: 'ask',
        webhooks: [],
        reverse_ws: [],
        maim: []
      }
    ],
    [
      'a webhook needs only its address',
      { file: bot('webhooks:', '  - url: http://127.0.0.1:8081/hook') },
      (config) => config.bots[0]?.webhooks[0],
      {
        url: 'http://127.0.0.1:8081/hook',
        access_token: null,
        secret: null,
        previous_secret: null,
        format: 'draft',
        events: null,
        chats: null,
        parallel: 8,
        timeout: 10_000
      }
    ],
    [
      'a reverse WebSocket needs only its address',
      { file: bot('reverse_ws:', '  - url: ws://127.0.0.1:8082/ws') },
      (config) => config.bots[0]?.reverse_ws[0],
      { url: 'ws://127.0.0.1:8082/ws', access_token: null, format: 'draft' }
    ],
    [
      'a link to a brain needs its address and its dialect',
      { file: bot('maim:', '  - { url: "ws://127.0.0.1:8000/ws", mode: legacy }') },
      (config) => config.bots[0]?.maim[0],
      {
        url: 'ws://127.0.0.1:8000/ws',
        mode: 'legacy',
        platform: 'lactea',
        token: null,
        api_key: null,
        max_frame: null,
        notices: 'notify',
        tls: null
      }
    ],
    [
      'TLS of a link checks everything unless it is told otherwise',
      { file: bot('maim:', '  - { url: "wss://brain/ws", mode: api-server, api_key: k, tls: { ca: ca.crt } }') },
      (config) => config.bots[0]?.maim[0]?.tls,
      { ca: 'ca.crt', cert: null, key: null, verify: true, check_host: true }
    ],
    [
      'a key of the maim door needs its account',
      { file: 'maim: { keys: [{ api_key: k, account: 10001 }] }' },
      (config) => config.maim.keys[0],
      { api_key: 'k', account: 10_001, chats: true, notices: 'notify', max_frame: null }
    ],
    [
      'TLS needs a certificate and its key',
      { file: 'server: { tls: { cert: a.crt, key: a.key } }' },
      (config) => config.server.tls,
      { cert: 'a.crt', key: 'a.key', ca: null, client_cert: 'none' }
    ],
    [
      'a listener needs its port',
      { file: 'server: { listeners: [{ port: 18040 }] }' },
      (config) => config.server.listeners,
      [{ host: null, port: 18_040, doors: [], tls: null }]
    ],
    [
      'a nickname that looks like the template is left alone',
      { file: bot('nickname: "<id>"') },
      (config) => config.bots[0]?.nickname,
      '<id>'
    ]
  ])

  void t.test('defaults of one result do not leak into the next', async (t) => {
    load(t, {}).config.server.trusted_proxies.push('10.0.0.0/8')
    t.strictSame(load(t, {}).config.server.trusted_proxies, [])
  })
})

void t.test('the whole file is read', async (t) => {
  const file = `
server:
  host: 0.0.0.0
  port: 8080
  trusted_proxies: [10.0.0.0/8, "::1", 192.168.1.1]
  allowed_origins: ["https://chat.example.org", "http://localhost:5173"]
  metrics_token: scrape
  tls: { cert: a.crt, key: a.key, ca: ca.crt, client_cert: require }
  listeners:
    - { host: 127.0.0.1, port: 18040, doors: [maim, ops] }
    - { port: 18044, doors: [maim], tls: { cert: b.crt, key: b.key, ca: ca.crt, client_cert: request } }
data: { dir: /var/lib/lactea }
im: { registration: closed, jwt_secret: signing-key }
bots:
  - id: 10001
    nickname: Echo
    access_token: t0ken
    report_self: true
    webhooks:
      - { url: "http://127.0.0.1:8081/hook", access_token: a, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, events: [message_receive], timeout: 2s }
    reverse_ws:
      - { url: "wss://bot.example.org/ws", access_token: b, format: draft }
    maim:
      - { url: "ws://127.0.0.1:8000/ws", mode: legacy, platform: qq, token: raw, max_frame: 20MiB }
      - url: wss://brain.example.org:18044/ws
        mode: api-server
        api_key: k
        tls: { ca: ca.crt, cert: me.crt, key: me.key, verify: true, check_host: false }
maim:
  keys:
    - { api_key: k1, account: 10001, chats: false, max_frame: 4MiB }
    - { api_key: k2, account: 10001 }
  legacy_tokens: [raw-one, raw-two]
  auth_reject: close1000
  compress: true
provision:
  accounts:
    - { id: 10011, kind: person, username: alice, password: "secret", nickname: Alice, phone: "123" }
    - { id: 10001, kind: bot }
  friends: [[10001, 10011], [10001, 99999]]
  groups:
    - { id: 100001, name: "Test group", owner: 10001, admins: [], members: [10011, 88888] }
limits: { http_body: 1MiB, http_rate: 5, maim_keep_time: 1h, maim_keep_count: 5, maim_repeat: 1s }
log: { level: debug }
`
  const { config, file: path } = load(t, { file })
  t.ok(path?.endsWith('/lactea.yaml'))
  t.equal(path, resolve(path ?? ''), 'the path is absolute')
  t.ok(Value.Check(Config, config), 'the result is what the schema describes')
  t.match(config, {
    server: {
      host: '0.0.0.0',
      port: 8080,
      allowed_origins: ['https://chat.example.org', 'http://localhost:5173'],
      metrics_token: 'scrape',
      tls: { client_cert: 'require' },
      listeners: [
        { host: '127.0.0.1', doors: ['maim', 'ops'], tls: null },
        { host: null, tls: { cert: 'b.crt' } }
      ]
    },
    maim: {
      keys: [{ chats: false, max_frame: 4_194_304 }, { chats: true }],
      legacy_tokens: ['raw-one', 'raw-two'],
      auth_reject: 'close1000',
      compress: true
    },
    im: { registration: 'closed', jwt_secret: 'signing-key' },
    bots: [
      {
        nickname: 'Echo',
        report_self: true,
        webhooks: [{ events: ['message_receive'], timeout: 2000 }],
        maim: [
          { platform: 'qq', max_frame: 20_971_520, tls: null },
          { platform: 'lactea', tls: { check_host: false } }
        ]
      }
    ],
    provision: {
      friends: [
        [10_001, 10_011],
        [10_001, 99_999]
      ],
      groups: [{ members: [10_011, 88_888] }]
    },
    limits: {
      http_body: 1_048_576,
      http_rate: 5,
      milky_frame: 33_554_432,
      maim_keep_time: 3_600_000,
      maim_repeat: 1000
    }
  })
})

void t.test('sources', async (t) => {
  accepts(t, [
    ['the file is stronger than the default', { file: 'server: { port: 1 }' }, (config) => config.server.port, 1],
    [
      'the environment is stronger than the file',
      { file: 'server: { port: 1 }', env: { LACTEA_PORT: '2' } },
      (config) => config.server.port,
      2
    ],
    [
      'the command line is stronger than the environment',
      { file: 'server: { port: 1 }', env: { LACTEA_PORT: '2' }, argv: { port: 3 } },
      (config) => config.server.port,
      3
    ],
    [
      'the command line sets port, host and data directory',
      { argv: { port: '0', host: '::1', dataDir: '/tmp/x' } },
      ({ server, data }) => [server.port, server.host, data.dir],
      [0, '::1', '/tmp/x']
    ],
    ['options that are not given change nothing', { argv: { port: undefined } }, (config) => config.server.port, 3000],
    [
      'the environment keeps what it does not name',
      { file: 'server: { port: 1, host: 10.0.0.1 }', env: { LACTEA_SERVER__PORT: '2' } },
      (config) => [config.server.port, config.server.host],
      [2, '10.0.0.1']
    ],
    [
      'a key with nothing behind it counts as not given',
      { file: 'server:\n  port:\n  host: null\n' },
      (config) => [config.server.port, config.server.host],
      [3000, '127.0.0.1']
    ],
    [
      'anchors and aliases work',
      { file: bot('webhooks: [{ url: "http://a/", timeout: &t 3s }, { url: "http://b/", timeout: *t }]') },
      (config) => config.bots[0]?.webhooks.map((webhook) => webhook.timeout),
      [3000, 3000]
    ]
  ])

  void t.test('an explicit file wins over LACTEA_CONFIG, which wins over lactea.yaml', async (t) => {
    const cwd = t.testdir({
      'lactea.yaml': 'server: { port: 1 }',
      'two.yaml': 'server: { port: 2 }',
      'three.yaml': 'server: { port: 3 }'
    })
    const env = { LACTEA_CONFIG: 'two.yaml' }
    t.equal(loadConfig({ cwd, env: {} }).config.server.port, 1)
    t.equal(loadConfig({ cwd, env }).config.server.port, 2)
    t.equal(loadConfig({ cwd, env, file: 'three.yaml' }).config.server.port, 3)
    t.equal(loadConfig({ cwd, env, file: resolve(cwd, 'three.yaml') }).file, resolve(cwd, 'three.yaml'))
  })

  void t.test('a named file that does not exist is an error', async (t) => {
    const cwd = t.testdir({ folder: {} })
    t.throws(() => loadConfig({ cwd, env: {}, file: 'none.yaml' }), {
      name: 'ConfigErrors',
      message: `--config: the configuration file ${cwd}/none.yaml does not exist`
    })
    t.throws(() => loadConfig({ cwd, env: { LACTEA_CONFIG: 'none.yaml' } }), {
      message: `LACTEA_CONFIG: the configuration file ${cwd}/none.yaml does not exist`
    })
    t.throws(() => loadConfig({ cwd, env: {}, file: 'folder' }), {
      message: `--config: the configuration file ${cwd}/folder is a directory`
    })
  })
})

void t.test('environment', async (t) => {
  accepts(t, [
    ['LACTEA_HOST', { env: { LACTEA_HOST: '10.1.2.3' } }, (config) => config.server.host, '10.1.2.3'],
    ['LACTEA_DATA_DIR', { env: { LACTEA_DATA_DIR: '/data' } }, (config) => config.data.dir, '/data'],
    ['LACTEA_LOG_LEVEL', { env: { LACTEA_LOG_LEVEL: 'warn' } }, (config) => config.log.level, 'warn'],
    ['JWT_SECRET', { env: { JWT_SECRET: 'k' } }, (config) => config.im.jwt_secret, 'k'],
    [
      'text that looks like a number stays text',
      { env: { JWT_SECRET: '12345' } },
      (config) => config.im.jwt_secret,
      '12345'
    ],
    [
      'any key by its path',
      { env: { LACTEA_LIMITS__HTTP_BODY: '2MiB' } },
      (config) => config.limits.http_body,
      2_097_152
    ],
    ['a size in plain bytes', { env: { LACTEA_LIMITS__HTTP_BODY: '77' } }, (config) => config.limits.http_body, 77],
    [
      'a key of a bot of the file',
      { file: bot('nickname: Echo'), env: { LACTEA_BOTS__0__ACCESS_TOKEN: 'x', LACTEA_BOTS__0__REPORT_SELF: 'true' } },
      (config) => config.bots.map(({ nickname, access_token: token, report_self: self }) => [nickname, token, self]),
      [['Echo', 'x', true]]
    ],
    [
      'bots that no file knows, in whatever order',
      {
        env: Object.fromEntries(
          [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((index) => [`LACTEA_BOTS__${index}__ID`, String(10_001 + index)])
        )
      },
      (config) => config.bots.map(({ id }) => id),
      Array.from({ length: 12 }, (_, index) => 10_001 + index)
    ],
    [
      'lists of text with commas',
      { file: 'server: { trusted_proxies: [1.1.1.1] }', env: { LACTEA_SERVER__TRUSTED_PROXIES: '10.0.0.0/8, ::1' } },
      (config) => config.server.trusted_proxies,
      ['10.0.0.0/8', '::1']
    ],
    [
      'lists of numbers with commas',
      {
        file: 'provision: { groups: [{ id: 100001, name: G, owner: 10001 }] }',
        env: {
          LACTEA_PROVISION__GROUPS__0__MEMBERS: '10002,10003',
          LACTEA_PROVISION__FRIENDS__0__0: '10001',
          LACTEA_PROVISION__FRIENDS__0__1: '10002'
        }
      },
      (config) => [config.provision.groups[0]?.members, config.provision.friends],
      [[10_002, 10_003], [[10_001, 10_002]]]
    ],
    [
      'an empty variable counts as not set',
      {
        file: 'server: { port: 5 }',
        env: {
          LACTEA_PORT: '',
          LACTEA_SERVER__TRUSTED_PROXIES: '',
          LACTEA_DATABASE_URL: '',
          LACTEA_CONFIG: '',
          JWT_SECRET_FILE: ''
        }
      },
      (config) => config.server.port,
      5
    ],
    [
      'two names of a key that agree',
      { env: { LACTEA_PORT: '7', LACTEA_SERVER__PORT: '7' } },
      (config) => config.server.port,
      7
    ],
    [
      'variables of other programs',
      { env: { PORT: 'x', HOME: '/root', JWT_SECRETS: 'x', lactea: 'x' } },
      (config) => config.server.port,
      3000
    ]
  ])

  refuses(t, [
    [
      'an unknown variable',
      { env: { LACTEA_PROT: '1' } },
      'LACTEA_PROT is not a known variable; did you mean LACTEA_PORT?'
    ],
    [
      'an unknown variable of a list entry, with the number of the reader',
      { env: { LACTEA_BOTS__3__ACESS_TOKEN: 'CANARY' } },
      'LACTEA_BOTS__3__ACESS_TOKEN is not a known variable; did you mean LACTEA_BOTS__3__ACCESS_TOKEN?'
    ],
    [
      'one underscore too few',
      { env: { LACTEA_BOTS_0__ACCESS_TOKEN_FILE: 'CANARY' } },
      'LACTEA_BOTS_0__ACCESS_TOKEN_FILE is not a known variable; did you mean LACTEA_BOTS__0__ACCESS_TOKEN_FILE?'
    ],
    [
      'a file for what is no secret',
      { env: { LACTEA_PORT_FILE: 'x' } },
      'LACTEA_PORT_FILE is not a known variable; did you mean LACTEA_PORT?'
    ],
    [
      'a variable like nothing else',
      { env: { LACTEA_XYZZY_PLUGH_FROTZ: '1' } },
      'LACTEA_XYZZY_PLUGH_FROTZ is not a known variable'
    ],
    [
      'a name of objects in JavaScript',
      { env: { LACTEA_SERVER__CONSTRUCTOR: '1', LACTEA_MAIM____PROTO__: '1' } },
      'LACTEA_SERVER__CONSTRUCTOR is not a known variable',
      'LACTEA_MAIM____PROTO__ is not a known variable'
    ],
    [
      'a variable for a whole section',
      { env: { LACTEA_BOTS: '1', LACTEA_SERVER: '1' } },
      'LACTEA_BOTS: bots holds more than one value; set its keys one by one, such as LACTEA_BOTS__0__ID',
      'LACTEA_SERVER: server holds more than one value; set its keys one by one, such as LACTEA_SERVER__HOST'
    ],
    [
      'a wrong value',
      { env: { LACTEA_PORT: 'abc' } },
      'LACTEA_PORT: server.port must be an integer from 0 to 65535, got "abc"'
    ],
    ['a wrong option', { argv: { port: 'abc' } }, '--port: server.port must be an integer from 0 to 65535, got "abc"'],
    [
      'a gap in a list',
      { env: { LACTEA_BOTS__1__ID: '10001' } },
      'LACTEA_BOTS__1__ID: bots[1].id leaves a gap; entries of a list are numbered from 0, one after the other'
    ],
    [
      'a list entry without its required keys',
      { env: { LACTEA_BOTS__0__NICKNAME: 'Echo' } },
      'LACTEA_BOTS__0__NICKNAME: bots[0].id is missing'
    ],
    ['an empty secret', { env: { JWT_SECRET: '' } }, 'JWT_SECRET: im.jwt_secret must not be empty'],
    [
      'two names of a key that contradict each other',
      { env: { LACTEA_PORT: '1', LACTEA_SERVER__PORT: '2' } },
      'LACTEA_PORT and LACTEA_SERVER__PORT both set server.port; keep one of them'
    ],
    [
      'what Kubernetes sets for a Service, with the way out',
      { env: { LACTEA_PORT: 'tcp://10.0.0.7:3000', LACTEA_SERVICE_HOST: '10.0.0.7' } },
      'LACTEA_SERVICE_HOST is not a known variable; if Kubernetes has set it for a Service, write enableServiceLinks: false into the pod',
      'LACTEA_PORT: server.port must be an integer from 0 to 65535, got "tcp://10.0.0.7:3000"; if Kubernetes has set it for a Service, write enableServiceLinks: false into the pod'
    ]
  ])
})

void t.test('secrets in files', async (t) => {
  accepts(t, [
    [
      'a secret beside the configuration, without its newline',
      { file: bot('access_token_file: secrets/token'), beside: { secrets: { token: 't0ken\n' } } as never },
      (config) => config.bots[0],
      {
        id: 10_001,
        nickname: 'Bot 10001',
        access_token: 't0ken',
        report_self: false,
        friend_requests: 'ask',
        webhooks: [],
        reverse_ws: [],
        maim: []
      }
    ],
    [
      'every secret of the file',
      {
        file: `${bot('webhooks: [{ url: "http://a/", access_token_file: one, secret_file: two }]')}
provision: { accounts: [{ id: 10011, kind: person, password_file: one }] }
im: { jwt_secret_file: one }`,
        beside: { one: 'first\r\n', two: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }
      },
      ({ bots, provision, im }) => [
        bots[0]?.webhooks[0]?.access_token,
        bots[0]?.webhooks[0]?.secret,
        provision.accounts[0]?.password,
        im.jwt_secret
      ],
      ['first', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'first', 'first']
    ],
    [
      'JWT_SECRET_FILE',
      { env: { JWT_SECRET_FILE: 'jwt' }, beside: { jwt: 'from file\n' } },
      (config) => config.im.jwt_secret,
      'from file'
    ],
    [
      'a path in capitals and _FILE',
      { file: bot(), env: { LACTEA_BOTS__0__ACCESS_TOKEN_FILE: 'token' }, beside: { token: 'x' } },
      (config) => config.bots[0]?.access_token,
      'x'
    ],
    [
      'the environment is stronger than a secret file of the file, which is not even read',
      { file: bot('access_token_file: nowhere'), env: { LACTEA_BOTS__0__ACCESS_TOKEN: 'x' } },
      (config) => config.bots[0]?.access_token,
      'x'
    ],
    [
      'a secret file of the environment is stronger than the secret of the file',
      { file: bot('access_token: weak'), env: { LACTEA_BOTS__0__ACCESS_TOKEN_FILE: 'token' }, beside: { token: 'x' } },
      (config) => config.bots[0]?.access_token,
      'x'
    ]
  ])

  void t.test('a relative path starts at the configuration file', async (t) => {
    const cwd = t.testdir({ etc: { 'lactea.yaml': 'im: { jwt_secret_file: jwt }', jwt: 'near' }, jwt: 'far' })
    t.equal(loadConfig({ cwd, env: {}, file: 'etc/lactea.yaml' }).config.im.jwt_secret, 'near')
    t.equal(loadConfig({ cwd, env: { JWT_SECRET_FILE: 'jwt' }, file: 'etc/lactea.yaml' }).config.im.jwt_secret, 'far')
  })

  void t.test('a missing file is an error that names it', async (t) => {
    const mistakes = findMistakes(t, {
      file: bot('access_token_file: /nowhere/token'),
      env: { JWT_SECRET_FILE: '/nowhere/jwt' }
    })
    t.strictSame(mistakes.mistakes, [
      {
        path: 'bots[0].access_token_file',
        source: 'lactea.yaml',
        line: 3,
        message: 'bots[0].access_token_file names /nowhere/token, which does not exist'
      },
      {
        path: 'im.jwt_secret_file',
        source: 'JWT_SECRET_FILE',
        message: 'im.jwt_secret_file names /nowhere/jwt, which does not exist'
      }
    ])
  })

  refuses(t, [
    [
      'both forms in the file',
      { file: bot('access_token: CANARY', 'access_token_file: token') },
      'lactea.yaml:4: bots[0].access_token_file and bots[0].access_token are both given; keep one of them'
    ],
    [
      'both forms in the environment',
      { env: { JWT_SECRET: 'CANARY', JWT_SECRET_FILE: 'jwt' } },
      'JWT_SECRET and JWT_SECRET_FILE both set im.jwt_secret; keep one of them'
    ],
    [
      'a secret file with nothing in it',
      { file: 'im: { jwt_secret_file: jwt }', beside: { jwt: '\n' } },
      'lactea.yaml:1: im.jwt_secret must not be empty'
    ],
    [
      'a secret file with a token that no header carries',
      { file: bot('nickname: X', 'access_token_file: token'), beside: { token: 'CAN ARY\n' } },
      'lactea.yaml:4: bots[0].access_token must not contain spaces, control characters or non-ASCII characters'
    ],
    [
      'a list as name of a file',
      { file: 'im: { jwt_secret_file: [CANARY] }' },
      'lactea.yaml:1: im.jwt_secret_file must be the name of a file, got a list'
    ],
    [
      'a file for what is no secret',
      { file: 'server: { port_file: x }' },
      'lactea.yaml:1: server.port_file is not a known key; did you mean "port"?'
    ]
  ])
})

void t.test('unknown keys', async (t) => {
  refuses(t, [
    [
      'a letter too few',
      { file: bot('nickname: Echo', 'acess_token: CANARY') },
      'lactea.yaml:4: bots[0].acess_token is not a known key; did you mean "access_token"?'
    ],
    [
      'two letters swapped',
      { file: 'server:\n  prot: 1' },
      'lactea.yaml:2: server.prot is not a known key; did you mean "port"?'
    ],
    [
      'another way to write names',
      { file: bot('accessTokenFile: CANARY') },
      'lactea.yaml:3: bots[0].accessTokenFile is not a known key; did you mean "access_token_file"?'
    ],
    [
      'the right key in the wrong place',
      { file: 'port: 3000' },
      'lactea.yaml:1: port is not a known key; did you mean "server.port"?'
    ],
    [
      'like nothing else',
      { file: 'data: { xyzzyplugh: 1 }' },
      'lactea.yaml:1: data.xyzzyplugh is not a known key; known here are dir, database, nats'
    ],
    [
      'names of objects in JavaScript',
      { file: 'constructor: 1\n__proto__: { server: 1 }' },
      'lactea.yaml:1: constructor is not a known key; known here are server, data, media, outgoing, im, bots, maim, provision, limits, log',
      'lactea.yaml:2: __proto__ is not a known key; known here are server, data, media, outgoing, im, bots, maim, provision, limits, log'
    ],
    [
      'a forgotten space after the colon, without the secret behind it',
      { file: 'bots: [{ id: 10001, access_token:CANARY }]' },
      'lactea.yaml:1: a space is missing after the colon of access_token'
    ],
    [
      'a piece without a key',
      { file: 'bots: [{ id: 10001, "CANARY" }]' },
      'lactea.yaml:1: something inside of { } has no value; write it as "key: value", with a space after the colon'
    ],
    [
      'a key with other characters, without what follows its first word',
      { file: bot('"access_token=CANARY": 1') },
      'lactea.yaml:3: bots[0].access_token… is not a known key; did you mean "access_token"?'
    ]
  ])
})

void t.test('YAML', async (t) => {
  refuses(t, [
    [
      'a key given twice',
      { file: 'server:\n  port: 1\n  host: "::1"\n  port: 2' },
      'lactea.yaml:4: port is given twice in the same place; keep one'
    ],
    [
      'a key given twice and a mistake elsewhere',
      { file: 'log: { level: info }\nserver: { port: x }\nlog: { level: debug }' },
      'lactea.yaml:2: server.port must be an integer from 0 to 65535, got "x"',
      'lactea.yaml:3: log is given twice in the same place; keep one'
    ],
    [
      'an open bracket',
      { file: 'server:\n  trusted_proxies: [1.1.1.1\nlog:\n  level: info\n' },
      'lactea.yaml:3: this is not valid YAML: the indentation does not fit the lines above; look for an open bracket or quote, too'
    ],
    [
      'a tab',
      { file: 'server:\n\tport: 1\n' },
      'lactea.yaml:2: this is not valid YAML: a tab is used as indentation; use spaces'
    ],
    [
      'a value that starts with *',
      { file: bot('access_token: *CANARY') },
      'lactea.yaml:3: an alias (*name) has no anchor (&name) before it; put a value that starts with * in quotes'
    ],
    [
      'a value that starts with !',
      { file: bot('access_token: !CANARY x') },
      'lactea.yaml:3: this is not valid YAML: a tag is not known; put a value that starts with ! in quotes'
    ],
    [
      'an anchor inside of itself',
      { file: 'server: &a\n  tls: { cert: *a }\n  trusted_proxies: &b [*b]' },
      'lactea.yaml:2: the file unfolds into too much'
    ],
    [
      'aliases that unfold into billions',
      {
        file: [
          'a: &a [x, x, x, x, x, x, x, x, x]',
          ...['b', 'c', 'd', 'e', 'f', 'g'].map(
            (name, index) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdef'[index]}`).join(', ')}]`
          )
        ].join('\n')
      },
      'lactea.yaml:1: the file unfolds into too much'
    ],
    [
      'a list instead of a mapping',
      { file: '- id: 10001' },
      'lactea.yaml:1: the file must be a mapping with keys such as "server" and "bots"'
    ],
    [
      'a broken file does not hide unknown variables',
      { file: 'server: {', env: { LACTEA_PROT: '1' } },
      'lactea.yaml:1: this is not valid YAML: the indentation does not fit the lines above; look for an open bracket or quote, too',
      'LACTEA_PROT is not a known variable; did you mean LACTEA_PORT?'
    ]
  ])
})

void t.test('types', async (t) => {
  refuses(t, [
    [
      'text for a number',
      { file: 'server:\n  port: abc' },
      'lactea.yaml:2: server.port must be an integer from 0 to 65535, got "abc"'
    ],
    [
      'a number that is too large',
      { file: 'server:\n  port: 65536' },
      'lactea.yaml:2: server.port must be an integer from 0 to 65535, got 65536'
    ],
    [
      'a part of a number',
      { file: 'server: { port: 1.5 }' },
      'lactea.yaml:1: server.port must be an integer from 0 to 65535, got 1.5'
    ],
    [
      'no number',
      { file: 'limits: { http_rate: .nan }' },
      'lactea.yaml:1: limits.http_rate must be a positive integer, got NaN'
    ],
    [
      'a number in quotes',
      { file: 'server: { port: "80" }' },
      'lactea.yaml:1: server.port must be an integer from 0 to 65535, got "80"'
    ],
    [
      'a word for a flag',
      { file: bot('report_self: yes') },
      'lactea.yaml:3: bots[0].report_self must be true or false, got "yes"'
    ],
    [
      'an unknown choice',
      { file: 'im: { registration: maybe }' },
      'lactea.yaml:1: im.registration must be one of open, invite, closed, got "maybe"'
    ],
    ['a text for a list', { file: 'bots: CANARY' }, 'lactea.yaml:1: bots must be a list, got a text'],
    ['a mapping for a list', { file: 'bots:\n  id: 10001' }, 'lactea.yaml:1: bots must be a list, got a mapping'],
    ['a number for a mapping', { file: 'server: 3000' }, 'lactea.yaml:1: server must be a mapping, got a number'],
    [
      'a mapping for a text',
      { file: 'server: { host: { a: b } }' },
      'lactea.yaml:1: server.host must be text, got a mapping'
    ],
    [
      'a number for a text',
      { file: bot('nickname: 7') },
      'lactea.yaml:3: bots[0].nickname must be text, got 7; put it in quotes'
    ],
    [
      'a number for a secret, without the number',
      { file: bot('access_token: 123454321') },
      'lactea.yaml:3: bots[0].access_token must be text, got a number; put it in quotes'
    ],
    [
      'a list for a secret',
      { file: bot('access_token: [CANARY]') },
      'lactea.yaml:3: bots[0].access_token must be text, got a list'
    ],
    ['empty text', { file: bot('nickname: ""') }, 'lactea.yaml:3: bots[0].nickname must not be empty'],
    [
      'an account number that is too small',
      { file: 'bots:\n  - id: 10000' },
      'lactea.yaml:2: bots[0].id must be an integer from 10001 to 2147483647, got 10000'
    ],
    [
      'an account number that is too large',
      { file: 'bots: [{ id: 2147483648 }]' },
      'lactea.yaml:1: bots[0].id must be an integer from 10001 to 2147483647, got 2147483648'
    ],
    ['a missing key', { file: 'bots:\n  - nickname: Echo' }, 'lactea.yaml:2: bots[0].id is missing'],
    [
      'an empty list of events',
      { file: bot('webhooks: [{ url: "http://a/", events: [] }]') },
      'lactea.yaml:3: bots[0].webhooks[0].events must not be empty; leave it out for all'
    ]
  ])
})

void t.test('sizes, durations and limits', async (t) => {
  const sizes: [string, number][] = [
    ['1', 1],
    ['"4096"', 4096],
    ['32MiB', 33_554_432],
    ['64KiB', 65_536],
    ['1GiB', 1_073_741_824],
    ['10KB', 10_000],
    ['10MB', 10_000_000],
    ['1.5 MiB', 1_572_864],
    ['64kib', 65_536],
    ['100B', 100]
  ]
  accepts(
    t,
    sizes.map(([text, value]) => [
      text,
      { file: `limits: { http_body: ${text} }` },
      (config) => config.limits.http_body,
      value
    ])
  )
  refuses(
    t,
    ['0', '-1', '1.5', '32M', 'MiB', 'much', '0KiB', '99999999GiB'].map((text) => [
      `${text} is no size`,
      { file: `limits: { http_body: ${text} }` },
      `lactea.yaml:1: limits.http_body must be a size such as 4096 or "32MiB", at least 1, got ${/^[-\d.]+$/.test(text) ? text : `"${text}"`}`
    ])
  )

  const durations: [string, number][] = [
    ['1', 1],
    ['250', 250],
    ['500ms', 500],
    ['10s', 10_000],
    ['2m', 120_000]
  ]
  accepts(
    t,
    durations.map(([text, value]) => [
      text,
      { file: bot(`webhooks: [{ url: "http://a/", timeout: ${text} }]`) },
      (config) => config.bots[0]?.webhooks[0]?.timeout,
      value
    ])
  )
  refuses(
    t,
    ['0', '-5s', 'soon', '2h'].map((text) => [
      `${text} is no duration`,
      { file: bot(`webhooks: [{ url: "http://a/", timeout: ${text} }]`) },
      `lactea.yaml:3: bots[0].webhooks[0].timeout must be a duration such as "10s" or 10000 (milliseconds), from 1 to 600000 ms, got ${text === '0' ? text : `"${text}"`}`
    ])
  )

  void t.test('every limit is a positive integer', async (t) => {
    const limits = Object.keys(load(t, {}).config.limits)
    const { mistakes } = findMistakes(t, { file: ['limits:', ...limits.map((name) => `  ${name}: 0`)].join('\n') })
    t.strictSame(
      mistakes.map(({ path, line }) => [path, line]),
      limits.map((name, index) => [`limits.${name}`, index + 2])
    )
  })
})

void t.test('addresses and tokens', async (t) => {
  const webhook = (url: string): Given => ({ file: bot('webhooks:', `  - url: "${url}"`) })
  const reverse = (url: string): Given => ({ file: bot('reverse_ws:', `  - url: "${url}"`) })
  const at = 'lactea.yaml:4: bots[0]'
  const unspecified = 'means "every address of this machine"; use 127.0.0.1 or the service name'

  refuses(t, [
    [
      'a webhook over ws',
      webhook('ws://a/'),
      `${at}.webhooks[0].url must start with http:// or https://, got "ws://a/"`
    ],
    [
      'a webhook without scheme',
      webhook('localhost:80'),
      `${at}.webhooks[0].url must start with http:// or https://, got "localhost:80"`
    ],
    ['a webhook that is no URL', webhook('http://a:b/'), `${at}.webhooks[0].url must be a complete URL, got "***"`],
    [
      'a webhook with secrets in a wrong address',
      webhook('ftp://CANARY:CANARY@host/x?access_token=CANARY&room=5'),
      `${at}.webhooks[0].url must start with http:// or https://, got "ftp://***@host/x?***"`
    ],
    [
      'a reverse WebSocket over http',
      reverse('http://a/'),
      `${at}.reverse_ws[0].url must start with ws:// or wss://, got "http://a/"`
    ],
    ['a fragment', reverse('ws://a/#x'), `${at}.reverse_ws[0].url must not have a part after #, got "ws://a/#***"`],
    [
      'a webhook to 0.0.0.0',
      webhook('http://0.0.0.0:8081/hook'),
      `${at}.webhooks[0].url cannot be dialled: 0.0.0.0 ${unspecified}, got "http://0.0.0.0:8081/hook"`
    ],
    [
      'a webhook to 0',
      webhook('http://0/'),
      `${at}.webhooks[0].url cannot be dialled: 0.0.0.0 ${unspecified}, got "http://0/"`
    ],
    [
      'a reverse WebSocket to [::]',
      reverse('ws://[0:0::0]:1/'),
      `${at}.reverse_ws[0].url cannot be dialled: [::] ${unspecified}, got "ws://[0:0::0]:1/"`
    ],
    [
      'a host with brackets',
      { file: 'server: { host: "[::1]" }' },
      'lactea.yaml:1: server.host must be without brackets, got "[::1]"'
    ],
    [
      'a host with a scheme and a port',
      { argv: { host: 'http://localhost:80' } },
      '--host: server.host must be an IP address or a host name, without scheme and port, got "http://localhost:80"'
    ],
    [
      'proxies that are no networks',
      { file: 'server:\n  trusted_proxies:\n    - 10.0.0.0/33\n    - nginx\n    - ::1/128\n    - 1.2.3.4/' },
      'lactea.yaml:3: server.trusted_proxies[0] must be an IP address or a network such as 10.0.0.0/8, got "10.0.0.0/33"',
      'lactea.yaml:4: server.trusted_proxies[1] must be an IP address or a network such as 10.0.0.0/8, got "nginx"',
      'lactea.yaml:6: server.trusted_proxies[3] must be an IP address or a network such as 10.0.0.0/8, got "1.2.3.4/"'
    ],
    [
      'a public address with a query or a password',
      { file: 'server:\n  public_url: https://me:secret@a.example/im' },
      'lactea.yaml:2: server.public_url must be without user, password and query, got "https://***@a.example/im"'
    ],
    [
      'a public address that is no web address',
      { file: 'server:\n  public_url: chat.example.org' },
      'lactea.yaml:2: server.public_url must start with http:// or https://, got "chat.example.org"'
    ],
    [
      'origins with more than an origin',
      {
        file: 'server:\n  allowed_origins:\n    - https://a.example/\n    - "*"\n    - a.example\n    - https://a.example'
      },
      'lactea.yaml:3: server.allowed_origins[0] must be an origin such as https://chat.example.org, without path and trailing slash, got "https://a.example/"',
      'lactea.yaml:4: server.allowed_origins[1] must be an origin such as https://chat.example.org, without path and trailing slash, got "*"',
      'lactea.yaml:5: server.allowed_origins[2] must be an origin such as https://chat.example.org, without path and trailing slash, got "a.example"'
    ],
    ['an empty token', { file: bot('access_token: ""') }, 'lactea.yaml:3: bots[0].access_token must not be empty'],
    [
      'tokens that no header carries',
      { file: bot('access_token: "CANARY\\n"', 'webhooks: [{ url: "http://a/", access_token: "CANARY é" }]') },
      'lactea.yaml:3: bots[0].access_token must not contain spaces, control characters or non-ASCII characters',
      'lactea.yaml:4: bots[0].webhooks[0].access_token must not contain spaces, control characters or non-ASCII characters'
    ],
    [
      'a name that is no event',
      { file: bot('webhooks: [{ url: "http://a/", events: ["Message!"] }]') },
      'lactea.yaml:3: bots[0].webhooks[0].events[0] must be the name of an event, such as message_receive, got "Message!"'
    ],
    [
      'events that the format of the webhook does not know',
      {
        file: bot(
          'webhooks:',
          '  - { url: "http://a/", events: [message_recieve, friend_poke, group_nudge, bot_offline] }',
          '  - { url: "http://b/", format: v1, events: [friend_nudge, peer_pin_change, group_poke, group_invitaton] }'
        )
      },
      'lactea.yaml:4: bots[0].webhooks[0].events[0] is no event of the format draft, got "message_recieve"; did you mean "message_receive"?',
      'lactea.yaml:4: bots[0].webhooks[0].events[2] is called "group_poke" in the format draft, got "group_nudge"',
      'lactea.yaml:4: bots[0].webhooks[0].events[3] is an event of the format v1 alone, and this webhook has the format draft, got "bot_offline"',
      'lactea.yaml:5: bots[0].webhooks[1].events[2] is called "group_nudge" in the format v1, got "group_poke"',
      'lactea.yaml:5: bots[0].webhooks[1].events[3] is no event of the format v1, got "group_invitaton"; did you mean "group_invitation"?'
    ],
    ...['CANARY', 'whsec_', 'whsec_CANARY!', 'whsec_A', 'whsec_====', ''].map((secret): [string, Given, string] => [
      `"${secret}" as a signing secret`,
      { file: bot(`webhooks: [{ url: "http://a/", secret: "${secret}" }]`) },
      `lactea.yaml:3: bots[0].webhooks[0].secret ${secret ? 'must be whsec_ followed by base64' : 'must not be empty'}`
    ])
  ])
})

void t.test('addresses of STUN and TURN servers', async (t) => {
  const servers = (url: string) => ({ file: `im: { ice_servers: [{ urls: [${JSON.stringify(url)}], secret: s }] }` })
  const message = 'must be an address such as stun:stun.example.org:3478 or turn:turn.example.org:3478?transport=udp'

  accepts(
    t,
    ['stun:a', 'stuns:a.example:5349', 'turn:10.0.0.1:3478?transport=tcp', 'turns:[::1]:5349'].map((url) => [
      url,
      servers(url),
      (config) => config.im.ice_servers[0]?.urls,
      [url]
    ])
  )
  refuses(
    t,
    ['a:3478', 'stun:', 'stun://a', 'stun:a?transport=udp', 'turn:a?transport=x', 'https://a'].map((url) => [
      url,
      servers(url),
      `lactea.yaml:1: im.ice_servers[0].urls[0] ${message}, got "${url}"`
    ])
  )
})

void t.test('what belongs together', async (t) => {
  refuses(t, [
    [
      'two bots with one id',
      { file: 'bots:\n  - id: 10001\n  - id: 10002\n  - id: 10001' },
      'lactea.yaml:4: bots[2].id 10001 is already the id of bots[0]'
    ],
    [
      'two bots with one token',
      { file: 'bots:\n  - { id: 10001, access_token: CANARY }\n  - { id: 10002, access_token: CANARY }' },
      'lactea.yaml:3: bots[1].access_token is the same as that of bots[0]; every bot needs its own'
    ],
    [
      'two bots with one token, one of them from the environment',
      {
        file: 'bots:\n  - { id: 10001, access_token: CANARY }\n  - { id: 10002 }',
        env: { LACTEA_BOTS__1__ACCESS_TOKEN: 'CANARY' }
      },
      'LACTEA_BOTS__1__ACCESS_TOKEN: bots[1].access_token is the same as that of bots[0]; every bot needs its own'
    ],
    [
      'a TURN server without a secret',
      { file: 'im:\n  ice_servers:\n    - urls: [stun:a]\n    - urls: [stun:b, "turn:b"]' },
      'lactea.yaml:4: im.ice_servers[1].secret is missing, a TURN server needs it'
    ],
    [
      'one address twice',
      {
        file: bot(
          'webhooks:',
          '  - url: http://a/?token=CANARY',
          '  - url: HTTP://a:80/?token=CANARY',
          'reverse_ws: [{ url: "ws://a" }, { url: "ws://a/" }]'
        )
      },
      'lactea.yaml:5: bots[0].webhooks[1].url is the same as bots[0].webhooks[0].url; every event would arrive twice',
      'lactea.yaml:6: bots[0].reverse_ws[1].url is the same as bots[0].reverse_ws[0].url; every event would arrive twice'
    ],
    [
      'a bot that is a person',
      { file: `${bot()}\nprovision:\n  accounts:\n    - { id: 10001, kind: person }` },
      'lactea.yaml:2: bots[0].id 10001 is declared as a person in provision.accounts[0]'
    ],
    [
      'accounts and groups with one id, people with one name',
      {
        file: `provision:
  accounts:
    - { id: 10001, kind: person, username: alice }
    - { id: 10001, kind: bot }
    - { id: 10002, kind: person, username: alice }
  groups:
    - { id: 100001, name: A, owner: 10001 }
    - { id: 100001, name: B, owner: 10001 }`
      },
      'lactea.yaml:4: provision.accounts[1].id 10001 is already the id of provision.accounts[0]',
      'lactea.yaml:5: provision.accounts[2].username is already the username of provision.accounts[0]',
      'lactea.yaml:8: provision.groups[1].id 100001 is already the id of provision.groups[0]'
    ],
    [
      'friends that are no pair of accounts',
      { file: 'provision:\n  friends:\n    - [10001]\n    - [10001, alice]\n    - [10001, 10001]\n    - [10001, 1]' },
      'lactea.yaml:3: provision.friends[0] must be a list of 2 account numbers, got 1 entries',
      'lactea.yaml:4: provision.friends[1][1] must be an integer from 10001 to 2147483647, got "alice"',
      'lactea.yaml:5: provision.friends[2] must name two different accounts, got 10001 twice',
      'lactea.yaml:6: provision.friends[3][1] must be an integer from 10001 to 2147483647, got 1'
    ],
    [
      'claims of an issuer that is not named',
      { file: 'im:\n  jwks_issuer: https://a/\n  jwks_audience: b' },
      'lactea.yaml:2: im.jwks_issuer says nothing without im.jwks_url',
      'lactea.yaml:3: im.jwks_audience says nothing without im.jwks_url'
    ],
    [
      'networks that nothing is held to',
      { file: 'outgoing:\n  allowed_networks: [10.0.0.0/8]' },
      'lactea.yaml:2: outgoing.allowed_networks says nothing without outgoing.guard'
    ],
    [
      'links that show the wrong secret, or none',
      {
        file: bot(
          'maim:',
          '  - { url: "ws://a/", mode: api-server }',
          '  - { url: "ws://b/", mode: api-server, api_key: k, token: CANARY }',
          '  - { url: "ws://c/", mode: legacy, api_key: CANARY }'
        )
      },
      'lactea.yaml:4: bots[0].maim[0].api_key is missing, mode api-server needs it',
      'lactea.yaml:5: bots[0].maim[1].token is for mode legacy; api-server takes api_key',
      'lactea.yaml:6: bots[0].maim[2].api_key is for mode api-server; legacy takes token'
    ],
    [
      'one link twice',
      {
        file: bot(
          'maim:',
          '  - { url: "ws://a", mode: legacy }',
          '  - { url: "ws://a", mode: legacy, platform: other }',
          '  - { url: "WS://a:80/", mode: legacy }'
        )
      },
      'lactea.yaml:6: bots[0].maim[2].url and platform are the same as those of bots[0].maim[0]; every message would arrive twice'
    ],
    [
      'TLS of a link that has none, or half a certificate',
      {
        file: bot(
          'maim:',
          '  - { url: "ws://a", mode: legacy, tls: { ca: a } }',
          '  - { url: "wss://b", mode: legacy, tls: { cert: a } }',
          '  - { url: "wss://c", mode: legacy, tls: { key: a } }'
        )
      },
      'lactea.yaml:4: bots[0].maim[0].tls says nothing without a wss:// address',
      'lactea.yaml:5: bots[0].maim[1].tls.key is missing, a certificate needs it',
      'lactea.yaml:6: bots[0].maim[2].tls.cert is missing, a key needs it'
    ],
    [
      'a key of the maim door twice, and as a token',
      {
        file: `maim:
  keys:
    - { api_key: CANARY, account: 10001 }
    - { api_key: CANARY, account: 10002 }
  legacy_tokens: [free, CANARY]`
      },
      'lactea.yaml:4: maim.keys[1].api_key is the same as that of maim.keys[0]',
      'lactea.yaml:5: maim.legacy_tokens[1] is the api_key of maim.keys[0], which is good at the legacy door by itself'
    ],
    [
      'client certificates without an authority, and an authority without them',
      {
        file: `server:
  tls: { cert: a, key: a, client_cert: require }
  listeners:
    - { port: 1, tls: { cert: a, key: a, client_cert: request } }
    - { port: 2, tls: { cert: a, key: a, ca: a } }`
      },
      'lactea.yaml:2: server.tls.ca is missing, client certificates are checked by it',
      'lactea.yaml:4: server.listeners[0].tls.ca is missing, client certificates are checked by it',
      'lactea.yaml:5: server.listeners[1].tls.ca says nothing while client_cert is none'
    ],
    [
      'half of what TLS needs',
      { file: 'server:\n  tls: { cert: a }\n  listeners: [{ port: 1, tls: { key: a } }]' },
      'lactea.yaml:2: server.tls.key is missing',
      'lactea.yaml:3: server.listeners[0].tls.cert is missing'
    ],
    [
      'doors that are not there, and one twice',
      { file: 'server:\n  listeners:\n    - { port: 1, doors: [mikly] }\n    - { port: 2, doors: [maim, maim] }' },
      'lactea.yaml:3: server.listeners[0].doors[0] must be one of milky, im, maim, pages, ops, got "mikly"; did you mean "milky"?',
      'lactea.yaml:4: server.listeners[1].doors[1] names maim again'
    ],
    [
      'one address for two listeners',
      {
        file: `server:
  port: 3000
  listeners:
    - { port: 3000 }
    - { host: 10.0.0.1, port: 3000 }
    - { port: 0 }
    - { port: 0 }
    - { host: 10.0.0.1, port: 3000 }`
      },
      'lactea.yaml:4: server.listeners[0].port 3000 is already taken by server.port',
      'lactea.yaml:8: server.listeners[4].port 3000 is already taken by server.listeners[1].port'
    ],
    [
      'a group with the number of an account',
      { file: 'provision:\n  groups:\n    - { id: 100000, name: G, owner: 10001 }' },
      'lactea.yaml:3: provision.groups[0].id must be an integer from 100001 to 1000000000, got 100000'
    ]
  ])

  accepts(t, [
    [
      'one address for two bots',
      {
        file: 'bots:\n  - { id: 10001, webhooks: [{ url: "http://a/" }] }\n  - { id: 10002, webhooks: [{ url: "http://a/" }] }'
      },
      (config) => config.bots.length,
      2
    ],
    ['bots without a token', { file: 'bots:\n  - id: 10001\n  - id: 10002' }, (config) => config.bots.length, 2]
  ])
})

void t.test('what this version does not do yet is refused', async (t) => {
  const message = 'is not supported by this version yet'
  refuses(t, [
    [
      'PostgreSQL',
      { file: 'data: { database: "postgres://CANARY@h/" }' },
      `lactea.yaml:1: data.database ${message}; leave it out to use the embedded SQLite`
    ],
    [
      'PostgreSQL by a file',
      { file: 'data: { database_file: x }' },
      `lactea.yaml:1: data.database ${message}; leave it out to use the embedded SQLite`
    ],
    [
      'LACTEA_DATABASE_URL',
      { env: { LACTEA_DATABASE_URL: 'postgres://CANARY@h/' } },
      `LACTEA_DATABASE_URL: data.database ${message}; leave it out to use the embedded SQLite`
    ],
    [
      'LACTEA_NATS_URL',
      { env: { LACTEA_NATS_URL: 'nats://CANARY@h/' } },
      `LACTEA_NATS_URL: data.nats ${message}; leave it out to run a single node`
    ]
  ])

  accepts(t, [
    [
      'both formats of Milky',
      {
        file: bot(
          'webhooks: [{ url: "http://a/", format: v1, events: [bot_offline, group_nudge] }]',
          'reverse_ws: [{ url: "ws://a/", format: v1 }, { url: "ws://b/", format: draft }]'
        )
      },
      (config) => config.bots[0]?.reverse_ws.map((target) => target.format),
      ['v1', 'draft']
    ],
    [
      'the defaults may be written down',
      {
        file: `server: { tls: null, listeners: [] }
data: { database: null, nats: }
im: { registration: open, jwks_url: null }
maim: { keys: [], legacy_tokens: [] }
${bot('maim: []')}`
      },
      (config) => config.bots.length,
      1
    ]
  ])
})

void t.test('all mistakes are told at once, in the order of the file', async (t) => {
  const { mistakes, message } = findMistakes(t, {
    file: [
      'log: { level: loud }',
      bot('acess_token: CANARY', 'webhooks: [{ url: "ftp://a" }, {}]'),
      'server: { port: -1 }'
    ].join('\n'),
    env: { LACTEA_PROT: '1', LACTEA_HOST: 'a b' },
    argv: { dataDir: '' }
  })
  t.strictSame(
    mistakes.map(({ path, source, line }) => [path, source, line]),
    [
      ['log.level', 'lactea.yaml', 1],
      ['bots[0].acess_token', 'lactea.yaml', 4],
      ['bots[0].webhooks[0].url', 'lactea.yaml', 5],
      ['bots[0].webhooks[1].url', 'lactea.yaml', 5],
      ['server.port', 'lactea.yaml', 6],
      ['LACTEA_PROT', undefined, undefined],
      ['server.host', 'LACTEA_HOST', undefined],
      ['data.dir', '--data-dir', undefined]
    ]
  )
  t.equal(message.split('\n').length, mistakes.length)
  t.notMatch(message, /CANARY/)
})

void t.test('no message holds a secret', async (t) => {
  const places = {
    'a YAML error on the line': bot('access_token: "CANARY', 'x: ['),
    'a bad escape': bot('access_token: "\\CANARY"'),
    'a reserved character': bot('access_token: @CANARY'),
    'a missing space': bot('access_token:CANARY'),
    'a percent sign': '%CANARY\n---\nserver: { port: x }',
    'a second document': `${bot('access_token: CANARY')}\n--- CANARY\n`,
    'an unexpected piece': bot('access_token: "a"CANARY'),
    'a colon in the text': bot('access_token: CANARY: CANARY'),
    'a key that is a list': bot('? [CANARY]', ': 1'),
    'a token with blanks': bot('access_token: " CANARY "'),
    'a token that is a mapping': bot('access_token: { CANARY: CANARY }'),
    'a password that is a list': 'provision: { accounts: [{ id: 10011, kind: person, password: [CANARY] }] }',
    'a key with the secret in it': 'bots: [{ id: 10001, "access_token=CANARY" }]',
    'credentials in a wrong URL': bot(
      'webhooks: [{ url: "CANARY:CANARY@host" }, { url: "http://CANARY:CAN/ARY@host:x" }]'
    ),
    'credentials in the query': bot('webhooks: [{ url: "htp://h/?CANARY" }, { url: "http://h:x/?a=CANARY" }]'),
    'a URL as a host': 'server: { host: "https://user:CANARY@h?key=CANARY" }'
  }
  for (const [name, file] of Object.entries(places)) {
    void t.test(name, async (t) => {
      const error = findMistakes(t, { file })
      t.notMatch(`${error.message} ${JSON.stringify(error.mistakes)} ${error.stack}`, /CANARY|ARY/)
    })
  }
})

void t.test('maskSecrets', async (t) => {
  const full: Config = {
    ...loadConfig({ env: {}, cwd: t.testdir({}) }).config,
    server: { ...loadConfig({ env: {}, cwd: t.testdir({}) }).config.server, metrics_token: 'CANARY24' },
    data: {
      dir: './data',
      database: 'postgres://lactea:CANARY1@db/lactea?sslpassword=CANARY2',
      nats: 'nats://CANARY3@n1:4222,nats://CANARY4@n2:4222'
    },
    im: {
      ...loadConfig({ env: {}, cwd: t.testdir({}) }).config.im,
      jwt_secret: 'CANARY5',
      jwks_url: 'https://CANARY6@issuer/jwks',
      ice_servers: [{ urls: ['turn:h'], secret: 'CANARY23' }]
    },
    bots: [
      {
        id: 10_001,
        nickname: 'Echo',
        access_token: 'CANARY7',
        report_self: false,
        friend_requests: 'ask',
        webhooks: [
          {
            url: 'http://CANARY8:CANARY9@127.0.0.1:8081/hook?access_token=CANARY10&room=5',
            access_token: 'CANARY11',
            secret: 'whsec_CANARY12',
            previous_secret: 'whsec_CANARY26',
            format: 'draft',
            events: ['message_receive'],
            chats: null,
            parallel: 8,
            timeout: 10_000
          }
        ],
        reverse_ws: [{ url: 'ws://h/ws?sig=CANARY13#CANARY14', access_token: 'CANARY15', format: 'draft' }],
        maim: [
          {
            url: 'ws://CANARY16@h/ws',
            mode: 'legacy',
            platform: 'lactea',
            token: 'CANARY17',
            api_key: 'CANARY18',
            max_frame: null,
            notices: 'notify',
            tls: { ca: 'ca.crt', cert: null, key: null, verify: true, check_host: true }
          }
        ]
      }
    ],
    maim: {
      keys: [{ api_key: 'CANARY19', account: 10_001, chats: true, notices: 'text', max_frame: null }],
      legacy_tokens: ['CANARY20', 'CANARY21'],
      auth_reject: 'http401',
      compress: false
    },
    provision: {
      accounts: [{ id: 10_011, kind: 'person', username: 'alice', password: 'CANARY22', nickname: null, phone: null }],
      friends: [[10_001, 10_011]],
      groups: []
    }
  }
  t.ok(Value.Check(Config, full))
  const before = structuredClone(full)
  const masked = maskSecrets(full)

  t.notMatch(JSON.stringify(masked), /CANARY/, 'no secret is left')
  t.strictSame(full, before, 'the original is as it was')
  t.strictSame(masked.limits, full.limits)
  t.match(masked, {
    server: { metrics_token: '***' },
    data: { dir: './data', database: 'postgres://***@db/lactea?***' },
    im: { jwt_secret: '***' },
    bots: [
      {
        id: 10_001,
        nickname: 'Echo',
        access_token: '***',
        webhooks: [
          {
            url: 'http://***@127.0.0.1:8081/hook?access_token=***&room=5',
            access_token: '***',
            secret: '***',
            events: ['message_receive']
          }
        ],
        reverse_ws: [{ url: 'ws://h/ws?sig=***#***', access_token: '***' }]
      }
    ],
    maim: { keys: [{ api_key: '***', account: 10_001 }], legacy_tokens: ['***', '***'] },
    provision: { accounts: [{ username: 'alice', password: '***' }], friends: [[10_001, 10_011]] }
  })
  t.equal(
    maskSecrets(loadConfig({ env: {}, cwd: t.testdir({}) }).config).im.jwt_secret,
    null,
    'what is not set stays visible as such'
  )

  const urls: [string, string][] = [
    ['http://127.0.0.1:8081/hook', 'http://127.0.0.1:8081/hook'],
    ['http://h/@me', 'http://h/@me'],
    ['ws://h/?v=1', 'ws://h/?v=1'],
    ['ws://h/?x=0123456789ab', 'ws://h/?x=***'],
    ['ws://h/?0123', 'ws://h/?***'],
    ['user:pass@host', '***@host'],
    ['http://user:password/forgotten', '***'],
    ['postgres://user:1/2@db/lactea', 'postgres://***@db/lactea'],
    ['postgres://db:5432/lactea', 'postgres://db:5432/lactea'],
    ['localhost:80', 'localhost:80'],
    ['http://h/?a=b:c&b=', 'http://h/?a=***&b=***'],
    ['nats://a:b@h1,nats://c:d@h2', 'nats://***@h2']
  ]
  for (const [url, expected] of urls) t.equal(maskUrl(url), expected, url)
})

void t.test('the reference page', async (t) => {
  const rows = describeConfig()
  const find = (key: string) => rows.find((row) => row.key === key)

  t.ok(rows.length > 60)
  t.equal(new Set(rows.map(({ key }) => key)).size, rows.length, 'no key comes twice')
  for (const { key, description, type } of rows) t.ok(description && type, `${key} is described`)
  for (const key of Object.keys(notYet)) t.match(find(key)?.description, /Not in this version yet/, key)
  t.match(find('server.port'), { type: 'integer 0–65535', default: '3000' })
  t.match(find('limits.http_body'), { type: 'size', default: '32MiB' })
  t.match(find('bots[].webhooks[].timeout'), { type: 'duration', default: '10s' })
  t.match(find('bots[].id'), { default: 'required' })
  t.match(find('bots[].access_token'), { default: '–', description: /access_token_file/ })

  const lines = configReference().trimEnd().split('\n')
  t.equal(lines.length, rows.length + 2)
  t.equal(lines[0], '| key | type | default | description |')
  for (const line of lines) t.equal(line.match(/(?<!\\)\|/g)?.length, 5, line)
})

void t.test('isLoopback', async (t) => {
  for (const host of ['localhost', '127.0.0.1', '127.8.8.8', '::1', '[::1]', '::ffff:127.0.0.1'])
    t.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.org', '127.0.0.1.example.org', 'localhost.example.org', ''])
    t.notOk(isLoopback(host), host)
})
