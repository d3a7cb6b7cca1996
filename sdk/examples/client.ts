// One connection, one message, one answer: URL=ws://localhost:18040/ws node client.ts
import { Seg, WebSocketClient } from '../src/index.ts' // in your program: '@lactea/maim'

const client = new WebSocketClient({
  url: process.env['URL'] ?? 'ws://localhost:18040/ws',
  apiKey: 'your_api_key',
  platform: 'test_platform',
  async onMessage(message) {
    console.log(`heard: ${Seg.textOf(message.message_segment)}`)
    await client.stop()
  }
})

if (await client.connect()) {
  const isSent = await client.sendMessage({
    message_info: { platform: 'test_platform', message_id: 'test_001', time: Date.now() / 1000 },
    message_segment: Seg.text('Hello from client!'),
    // Whom the message is for. The connection of this key and platform is the one that is used.
    message_dim: { api_key: 'your_api_key', platform: 'test_platform' }
  })
  console.log(`sent: ${isSent}`)
} else {
  console.log(`not connected: ${client.lastError}`)
  await client.stop()
}
