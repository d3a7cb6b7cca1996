// A bot that the gateway posts events to; the answer of each POST says what to do. Give its address to the gateway:
// bots: [{ id: 10001, webhooks: [{ url: "http://127.0.0.1:8081/" }] }]     PORT=8081 node examples/webhook-bot.ts
import { createServer, type IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'

interface Event {
  event_type: string
  data: { user_id: number; group_id?: number; segments: { type: string; data: { text?: string } }[] }
}

async function think(request: IncomingMessage): Promise<object[]> {
  const { event_type, data } = (await json(request)) as Event
  if (event_type !== 'message_receive' || data.user_id === Number(request.headers['x-self-id'])) return []
  const words = data.segments.map((segment) => segment.data.text ?? '').join('')
  // Two bots that answer each other would never stop: an echo is not echoed.
  if (words === '' || words.startsWith('echo: ')) return []
  const message = [{ type: 'text', data: { text: `echo: ${words}` } }]
  const { user_id, group_id } = data
  if (group_id) return [{ action: 'send_group_message', params: { group_id, message } }]
  return [{ action: 'send_private_message', params: { user_id, message } }]
}

const server = createServer((request, response) => {
  think(request).then(
    (actions) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ actions })),
    // Anything but 2xx makes the gateway try again, which would not help against a body that is not JSON.
    (err: unknown) => response.writeHead(204).end(() => console.error(err))
  )
})
// Whoever may reach this port may make the bot speak: beyond this machine, check the header Authorization.
server.listen(Number(process.env.PORT ?? 8081), '127.0.0.1', () => console.log('listening', server.address()))
