// To everybody, or to everybody on one platform: node broadcast.ts
import { Seg, WebSocketClient, WebSocketServer, type APIMessageBase } from '../src/index.ts' // in your program: '@lactea/maim'

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
await server.start()

const clients = ['wechat', 'wechat', 'qq'].map(
  (platform, n) =>
    new WebSocketClient({
      url: server.address?.url ?? '',
      apiKey: `user_${n}`,
      platform,
      onMessage: (message) => console.log(`user_${n} on ${platform}: ${Seg.textOf(message.message_segment)}`)
    })
)
await Promise.all(clients.map((client) => client.connect()))

const write = (text: string): APIMessageBase => ({
  message_info: { platform: 'server', message_id: `broadcast_${text}`, time: Date.now() / 1000 },
  message_segment: Seg.text(text),
  message_dim: { api_key: 'server', platform: 'server' }
})

const all = await server.broadcastMessage(write('to all'))
const some = await server.broadcastMessage(write('to wechat'), 'wechat')
console.log(`${Object.values(all).filter(Boolean).length} and ${Object.keys(some).length}`)

// When everything is acknowledged nothing is left to send.
while (server.getStats().cachedMessages > 0) await new Promise((resolve) => setTimeout(resolve, 10))
await Promise.all(clients.map((client) => client.stop()))
await server.stop()
