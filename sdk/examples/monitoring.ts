// Who is connected and what went over the wire: PORT=18040 node monitoring.ts
import { WebSocketServer } from '../src/index.ts' // in your program: '@lactea/maim'

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.env['PORT'] ?? 18_040),
  statsInterval: Number(process.env['SECONDS'] ?? 10),
  statsCallback({ currentUsers, currentConnections, failedAuths, cachedMessages, network }) {
    console.log(`users=${currentUsers} connections=${currentConnections} refused=${failedAuths}`)
    console.log(`waiting=${cachedMessages} in=${network.messagesReceived} out=${network.messagesSent}`)
    for (const [uuid, { user, platform, clientIp }] of Object.entries(server.getConnections()))
      console.log(`  ${uuid}: ${user} on ${platform} from ${clientIp}`)
  },
  onMessage: () => {},
  logLevel: 'INFO',
  enableMessageLog: true
})

process.once('SIGINT', () => void server.stop())
await server.start()
console.log(`listening at ${server.address?.url}`)
