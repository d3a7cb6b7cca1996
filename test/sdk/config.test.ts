import t from 'tap'
import {
  ConfigError,
  createClientConfig,
  createServerConfig,
  createSslClientConfig,
  createSslServerConfig,
  WebSocketClient,
  WebSocketServer,
  type ClientOptions,
  type ServerOptions
} from '../../sdk/src/index.ts'

const problemsOf = (build: () => unknown): readonly string[] => {
  try {
    build()
    return []
  } catch (err) {
    if (err instanceof ConfigError) return err.problems
    throw err
  }
}

const link = { url: 'ws://localhost:18000/ws', apiKey: 'k' }

t.test('the defaults are those of the documents', async (t) => {
  t.match(createServerConfig(), {
    host: '0.0.0.0',
    port: 18_000,
    path: '/ws',
    sslEnabled: false,
    sslVerify: false,
    authReject: 'http401',
    maxMessageSize: 104_857_600,
    enableMessageCache: true,
    messageCacheTtl: 300,
    messageCacheMaxSize: 1000,
    pingInterval: 20,
    pingTimeout: 20,
    compress: false
  })
  t.match(createClientConfig(link), {
    platform: 'default',
    sslEnabled: false,
    sslVerify: true,
    sslCheckHostname: true,
    autoReconnect: true,
    maxReconnectAttempts: 0,
    reconnectDelay: 1,
    maxReconnectDelay: 30,
    pingInterval: 20,
    pingTimeout: 10,
    closeTimeout: 10,
    maxMessageSize: 104_857_600
  })
  t.equal(createServerConfig({ port: undefined }).port, 18_000, 'undefined is not given')
})

t.test('wss:// turns TLS on', async (t) => {
  t.equal(createClientConfig({ ...link, url: 'wss://localhost/ws' }).sslEnabled, true)
  t.match(createSslClientConfig({ host: 'localhost', apiKey: 'k' }), {
    url: 'wss://localhost:18044/ws',
    sslEnabled: true
  })
  t.match(createSslClientConfig({ host: 'h', port: 1, path: '/p', apiKey: 'k' }), { url: 'wss://h:1/p' })
  t.match(createSslServerConfig({ sslCertfile: 'c', sslKeyfile: 'k' }), { sslEnabled: true, port: 18_000 })
})

t.test('every mistake of a server is one sentence that begins with the option', async (t) => {
  const cases: [options: Record<string, unknown>, ...problems: RegExp[]][] = [
    [{ port: '80' }, /^port: expected a port from 0 to 65535$/],
    [{ port: 65_536 }, /^port: /],
    [{ port: 1.5 }, /^port: /],
    [{ host: '' }, /^host: expected text$/],
    [{ path: 'ws' }, /^path: expected a path that begins with \/$/],
    [{ path: '/ws?x' }, /^path: /],
    [{ onAuth: true }, /^onAuth: expected a function$/],
    [{ onMessage: 'x' }, /^onMessage: /],
    [{ customHandlers: { ping: 1 } }, /^customHandlers: expected an object with functions$/],
    [{ logLevel: 'LOUD' }, /^logLevel: expected one of DEBUG, /],
    [{ logger: console.log }, /^logger: /],
    [{ messageCacheTtl: 0 }, /^messageCacheTtl: expected a number of seconds greater than 0$/],
    [{ messageCacheTtl: Number.NaN }, /^messageCacheTtl: /],
    [{ messageCacheMaxSize: 0 }, /^messageCacheMaxSize: expected a whole number from 1 on$/],
    [{ pingInterval: -1 }, /^pingInterval: expected a number of seconds, or 0$/],
    [{ enableStats: 'yes' }, /^enableStats: expected true or false$/],
    [{ authReject: 'no' }, /^authReject: expected one of http401, close1000$/],
    [{ maxMesageSize: 1 }, /^maxMesageSize: no option of this name; there are .*maxMessageSize/],
    [{ toString: 1 }, /^toString: no option of this name/],
    [{ sslEnabled: true }, /^sslCertfile: missing, sslEnabled needs it and sslKeyfile$/],
    [{ sslEnabled: true, sslCertfile: 'c' }, /^sslKeyfile: missing/],
    [{ sslEnabled: true, sslKeyfile: 'k' }, /^sslCertfile: missing, sslKeyfile needs it$/],
    [{ sslCertfile: 'c', sslKeyfile: 'k' }, /^sslEnabled: expected true/],
    [{ sslEnabled: true, sslCertfile: 'c', sslKeyfile: 'k', sslVerify: true }, /^sslCaCerts: missing, sslVerify/],
    [{ port: -1, path: '', compress: 0 }, /^compress: /, /^port: /, /^path: /]
  ]
  for (const [options, ...problems] of cases) {
    const found = problemsOf(() => new WebSocketServer(options as ServerOptions))
    t.equal(found.length, problems.length, JSON.stringify(options))
    for (const [index, problem] of problems.entries()) t.match(found[index], problem)
  }
  t.strictSame(
    problemsOf(() => createServerConfig(7 as never)),
    ['options: expected an object']
  )
})

t.test('every mistake of a client too, and the key is never shown', async (t) => {
  const cases: [options: Record<string, unknown>, ...problems: RegExp[]][] = [
    [{ url: undefined, apiKey: undefined }, /^url: missing$/, /^apiKey: missing$/],
    [{ url: 'http://localhost' }, /^url: expected an address that begins with ws:\/\/ or wss:\/\/$/],
    [{ url: 'ws://' }, /^url: /],
    [{ url: 'ws://localhost/#a' }, /^url: /],
    [{ apiKey: '' }, /^apiKey: expected text without line breaks$/],
    [{ apiKey: 'secret\nkey' }, /^apiKey: expected text without line breaks$/],
    [{ platform: 'a\u0000b' }, /^platform: /],
    [{ headers: { 'a b': '1' } }, /^headers: /],
    [{ headers: { a: 'x\ny' } }, /^headers: /],
    [{ headers: { a: 1 } }, /^headers: /],
    [{ maxReconnectAttempts: -1 }, /^maxReconnectAttempts: expected a whole number from 0 on$/],
    [{ reconnectDelay: 0 }, /^reconnectDelay: /],
    [{ sslEnabled: true }, /^url: expected wss:\/\/, since sslEnabled is true$/],
    [{ url: 'wss://h', sslEnabled: false }, /^sslEnabled: expected true, since url begins with wss:\/\/$/],
    [{ sslCaCerts: 'ca' }, /^url: expected wss:\/\/, since there are certificates$/],
    [{ url: 'wss://h', sslCertfile: 'c' }, /^sslKeyfile: missing, sslCertfile needs it$/]
  ]
  for (const [options, ...problems] of cases) {
    const found = problemsOf(() => new WebSocketClient({ ...link, ...options } as ClientOptions))
    t.equal(found.length, problems.length, JSON.stringify(options))
    for (const [index, problem] of problems.entries()) t.match(found[index], problem)
    t.notMatch(found.join('\n'), /secret/)
  }
  t.strictSame(
    problemsOf(() => createSslClientConfig({ apiKey: 'k' })),
    ['url: missing, or host instead']
  )
  t.match(
    problemsOf(() => createSslClientConfig({ apiKey: 'k', url: 'ws://h' })),
    [/^url: expected wss/]
  )
  t.match(
    problemsOf(() => new WebSocketClient(link).addConnection('http://h', '', 'p')),
    [/^url: /, /^apiKey: /]
  )
})
