// A bot that the gateway dials; calls and events are the same as in echo-bot.ts. Give its address to the gateway:
// bots: [{ id: 10001, reverse_ws: [{ url: "ws://127.0.0.1:8082/", access_token: "secret" }] }]
// PORT=8082 MILKY_TOKEN=secret node examples/reverse-bot.ts
import type { IncomingMessage } from 'node:http'
import { WebSocketServer } from 'ws'

interface Message {
  user_id: number
  group_id?: number
  segments: { data: { text?: string } }[]
}
type Frame = { self_id: number; data: { event_type?: string; status?: string; message?: string; data: Message } }

function isGateway({ req }: { req: IncomingMessage }): boolean {
  const token = new URL(req.url ?? '/', 'ws://bot').searchParams.get('access_token')
  return token === (process.env.MILKY_TOKEN ?? null)
}

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.env.PORT ?? 8082),
  verifyClient: isGateway
})
server.on('listening', () => console.log('listening', server.address()))
server.on('connection', (socket) => {
  socket.on('error', console.error)
  socket.on('message', (text) => {
    const { self_id, data } = JSON.parse((text as Buffer).toString()) as Frame
    if (data.status === 'failed') console.error(data.message)
    if (data.event_type !== 'message_receive') return
    const { user_id, group_id, segments } = data.data
    const words = segments.map((segment) => segment.data.text ?? '').join('')
    // Two bots that answer each other would never stop: an echo is not echoed.
    if (user_id === self_id || words === '' || words.startsWith('echo: ')) return
    const message = [{ type: 'text', data: { text: `echo: ${words}` } }]
    const action = group_id ? 'send_group_message' : 'send_private_message'
    socket.send(JSON.stringify({ action, params: { ...(group_id ? { group_id } : { user_id }), message } }))
  })
})
