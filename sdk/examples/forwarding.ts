// A server that passes messages on: from wechat to qq, whoever is there. PORT=18040 node forwarding.ts
import { WebSocketServer, type APIMessageBase } from '../src/index.ts' // in your program: '@lactea/maim'

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.env['PORT'] ?? 18_040),
  // Two keys, two users: forwarding goes to the user of the key in `message_dim`.
  onAuth: ({ apiKey }) => ['wechat_key', 'qq_key'].includes(apiKey),
  onMessage: (message) => forward(message, 'qq_key', 'qq')
})

async function forward(original: APIMessageBase, apiKey: string, platform: string): Promise<void> {
  const results = await server.sendMessage({
    message_info: {
      platform,
      message_id: `forward_${original.message_info.message_id}`,
      time: Date.now() / 1000,
      sender_info: original.message_info.sender_info ?? null // who has written it stays
    },
    message_segment: original.message_segment,
    message_dim: { api_key: apiKey, platform } // the new receiver, never the sender
  })
  const isThere = Object.values(results).includes(true)
  console.log(isThere ? 'forwarded' : 'nobody is there; kept for five minutes if they were there before')
}

process.once('SIGINT', () => void server.stop())
await server.start()
console.log(`listening at ${server.address?.url}`)
