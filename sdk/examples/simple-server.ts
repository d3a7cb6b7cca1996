// A server that answers every message to where it came from: PORT=18040 node simple-server.ts
import { Seg, WebSocketServer } from '../src/index.ts' // in your program: '@lactea/maim'

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.env['PORT'] ?? 18_040),
  onAuth: ({ apiKey }) => apiKey !== '',
  // Which user a key belongs to: messages go to users, not to keys.
  onAuthExtractUser: ({ apiKey }) => apiKey,
  onConnect: (uuid, { platform }) => console.log(`connected: ${uuid} on ${platform}`),
  onDisconnect: (uuid) => console.log(`gone: ${uuid}`),
  async onMessage(message, { apiKey, platform }) {
    console.log(`heard: ${Seg.textOf(message.message_segment)}`)
    await server.sendMessage({
      message_info: { platform, message_id: `re_${message.message_info.message_id}`, time: Date.now() / 1000 },
      message_segment: Seg.text(`you said: ${Seg.textOf(message.message_segment)}`),
      message_dim: { api_key: apiKey, platform }
    })
  }
})

process.once('SIGINT', () => void server.stop())
await server.start()
console.log(`listening at ${server.address?.url}`)
