// TLS, here with certificates of clients too: CERT=server.crt KEY=server.key CA=ca.crt node tls-server.ts
import { createSslServerConfig, Seg, WebSocketServer } from '../src/index.ts' // in your program: '@lactea/maim'

const { CERT = 'server.crt', KEY = 'server.key', CA, PORT = '18044' } = process.env

const server = new WebSocketServer(
  createSslServerConfig({
    host: '127.0.0.1',
    port: Number(PORT),
    sslCertfile: CERT,
    sslKeyfile: KEY,
    sslCaCerts: CA,
    // Only clients with a certificate that the authority has signed.
    sslVerify: CA !== undefined,
    onMessage: (message) => console.log(`heard: ${Seg.textOf(message.message_segment)}`)
  })
)

process.once('SIGINT', () => void server.stop())
await server.start()
console.log(`listening at ${server.address?.url}`)
