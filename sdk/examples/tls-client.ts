// wss:// turns TLS on: URL=wss://localhost:18044/ws CA=ca.crt CERT=client.crt KEY=client.key node tls-client.ts
import { createSslClientConfig, Seg, WebSocketClient } from '../src/index.ts' // in your program: '@lactea/maim'

const { URL = 'wss://localhost:18044/ws', CA, CERT, KEY } = process.env

const client = new WebSocketClient(
  createSslClientConfig({
    url: URL,
    apiKey: 'your_api_key',
    sslCaCerts: CA, // whom to trust, for certificates that you have signed yourself
    sslCertfile: CERT, // our own, when the server wants one
    sslKeyfile: KEY,
    sslVerify: true,
    sslCheckHostname: true
  })
)

const isIn = await client.connect()
console.log(isIn ? 'connected' : `not connected: ${client.lastError}`)
if (isIn)
  await client.sendMessage({
    message_info: { platform: 'default', message_id: '1', time: Date.now() / 1000 },
    message_segment: Seg.text('in private'),
    message_dim: { api_key: 'your_api_key', platform: 'default' }
  })
await client.stop()
