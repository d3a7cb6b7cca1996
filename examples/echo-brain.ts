// A brain that connects to the gateway: says back what its bot hears, in groups when it is mentioned. With a key that has
// `chats: false` it answers adapters instead, such as examples/maim-adapter.ts.
// MAIM_URL=ws://127.0.0.1:3000/maim/ws MAIM_KEY=<key> node examples/echo-brain.ts
import { Seg, WebSocketClient } from '../sdk/src/index.ts' // in your program: '@lactea/maim'

const apiKey = process.env.MAIM_KEY ?? ''

const brain = new WebSocketClient({
  url: process.env.MAIM_URL ?? 'ws://127.0.0.1:3000/maim/ws',
  apiKey,
  platform: 'lactea',
  onConnect: () => console.log('connected'),
  onDisconnect: (_uuid, why) => console.log(`not connected (${why})`),
  async onMessage({ message_info, message_segment }) {
    const { message_id, platform, sender_info = null, additional_config } = message_info
    // Somebody joined, was muted and so on: nothing to answer.
    if (message_id === 'notice') return
    if (sender_info?.group_info && !additional_config?.['is_mentioned']) return
    await brain.sendMessage({
      message_info: { platform, message_id: crypto.randomUUID(), time: Date.now() / 1000, receiver_info: sender_info },
      message_segment: Seg.text(`echo: ${Seg.textOf(message_segment)}`),
      // Our own account, where the message came from: a chat of the bot, or an adapter.
      message_dim: { api_key: apiKey, platform }
    })
  }
})

if (!(await brain.connect())) console.log(`not connected (${brain.lastError}), trying again`)
