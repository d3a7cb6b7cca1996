// Messages of your own types, both ways: node custom-handlers.ts
import { WebSocketClient, WebSocketServer } from '../src/index.ts' // in your program: '@lactea/maim'

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  customHandlers: {
    // `ping` is `custom_ping` on the wire. A handler gets the whole envelope.
    async ping({ payload }, { uuid }) {
      console.log(`ping: ${JSON.stringify(payload)}`)
      await server.sendCustomMessage('pong', { at: Date.now() }, { connectionUuid: uuid })
    }
  }
})
await server.start()

const client = new WebSocketClient({ url: server.address?.url ?? '', apiKey: 'user_001', platform: 'wechat' })
client.registerCustomHandler('pong', () => console.log('pong'))
client.registerCustomHandler('notification', async ({ payload }) => {
  console.log(`notification: ${JSON.stringify(payload)}`)
  await client.stop()
  await server.stop()
})
await client.connect()
await client.sendCustomMessage('ping', { n: 1 })

// To a user, on one platform or on all of them.
const results = await server.sendCustomMessage(
  'notification',
  { title: 'notice', content: 'hello' },
  { targetUser: 'user_001', targetPlatform: 'wechat' }
)
console.log(`taken by: ${Object.values(results).filter(Boolean).length}`)
