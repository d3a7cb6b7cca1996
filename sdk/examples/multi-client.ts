// Several keys and platforms in one client: URL=ws://localhost:18040/ws node multi-client.ts
import { Seg, WebSocketClient, type APIMessageBase } from '../src/index.ts' // in your program: '@lactea/maim'

const url = process.env['URL'] ?? 'ws://localhost:18040/ws'

const client = new WebSocketClient({
  url,
  apiKey: 'main_client_key',
  platform: 'main_platform',
  // Called for every connection; the second argument says for which.
  onMessage: (message, { platform }) => console.log(`heard on ${platform}: ${Seg.textOf(message.message_segment)}`)
})

const write = (text: string, apiKey: string, platform: string): APIMessageBase => ({
  message_info: { platform, message_id: `${platform}_001`, time: Date.now() / 1000 },
  message_segment: Seg.text(text),
  message_dim: { api_key: apiKey, platform }
})

process.once('SIGINT', () => void client.stop())
await client.connect()
const wechat = client.addConnection(url, 'wechat_key', 'wechat')
const qq = client.addConnection(url, 'qq_key', 'qq')
await Promise.all([client.connectTo(wechat), client.connectTo(qq)])
console.log(`active: ${Object.keys(client.getActiveConnections()).length}`)

// Each finds its connection: of its key and platform, else of its key, else of its platform.
await client.sendMessage(write('to wechat', 'wechat_key', 'wechat'))
await client.sendMessage(write('to qq', 'qq_key', 'qq'))
await client.sendCustomMessage('notification', { title: 'notice' }, { connectionUuid: qq })

await client.disconnect(wechat) // stays away until connectTo
await client.removeConnection(wechat)
