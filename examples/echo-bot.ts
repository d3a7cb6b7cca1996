// A bot that connects to the gateway: says back whatever it is told, in private chats and in groups.
// MILKY_URL=ws://127.0.0.1:3000/ MILKY_TOKEN=<access token> node examples/echo-bot.ts
interface Message {
  user_id: number
  group_id?: number
  segments: { data: { text?: string } }[]
}
type Frame = { self_id: number; data: { event_type?: string; status?: string; message?: string; data: Message } }

const url = new URL(process.env.MILKY_URL ?? 'ws://127.0.0.1:3000/')
url.searchParams.set('access_token', process.env.MILKY_TOKEN ?? '')
let waitMs = 1000

function connect(): void {
  const socket = new WebSocket(url)
  socket.onopen = () => {
    waitMs = 1000
    console.log('connected')
  }
  socket.onclose = ({ code, reason }) => {
    console.log(`not connected (${code} ${reason}), trying again in ${waitMs} ms`)
    setTimeout(connect, waitMs)
    waitMs = Math.min(waitMs * 2, 30_000)
  }
  socket.onmessage = ({ data: text }) => {
    const { self_id, data } = JSON.parse(String(text)) as Frame
    if (data.status === 'failed') console.error(data.message)
    if (data.event_type !== 'message_receive') return
    const { user_id, group_id, segments } = data.data
    const words = segments.map((segment) => segment.data.text ?? '').join('')
    // Two bots that answer each other would never stop: an echo is not echoed.
    if (user_id === self_id || words === '' || words.startsWith('echo: ')) return
    const message = [{ type: 'text', data: { text: `echo: ${words}` } }]
    const action = group_id ? 'send_group_message' : 'send_private_message'
    socket.send(JSON.stringify({ action, params: { ...(group_id ? { group_id } : { user_id }), message } }))
  }
}

connect()
