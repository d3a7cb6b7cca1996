// An adapter in a terminal: what is typed goes to the brain of the same account, and what that answers is printed.
// MAIM_KEY=<key with chats: false> node examples/maim-adapter.ts
import { createInterface } from 'node:readline'
import { Seg, WebSocketClient } from '../sdk/src/index.ts' // in your program: '@lactea/maim'

const apiKey = process.env.MAIM_KEY ?? ''
const platform = 'terminal'

const adapter = new WebSocketClient({
  url: process.env.MAIM_URL ?? 'ws://127.0.0.1:3000/maim/ws',
  apiKey,
  platform,
  onConnect: () => console.log('connected'),
  onDisconnect: (_uuid, why) => console.log(`not connected (${why})`),
  onMessage: ({ message_segment }) => console.log(Seg.textOf(message_segment))
})

if (!(await adapter.connect())) console.log(`not connected (${adapter.lastError}), trying again`)

for await (const words of createInterface(process.stdin)) {
  await adapter.sendMessage({
    message_info: {
      platform,
      message_id: crypto.randomUUID(),
      time: Date.now() / 1000,
      sender_info: { user_info: { platform, user_id: 'me', user_nickname: 'Me' } }
    },
    message_segment: Seg.text(words),
    // Whom it is for: the account that the key speaks for, and the brain's name in it.
    message_dim: { api_key: apiKey, platform: 'lactea' }
  })
}
