// A person in a terminal, who knows nothing but the document. A line is said; a line of JSON is a frame of its own.
// LACTEA_USER=alice LACTEA_PASSWORD=<password> node examples/person.ts <id of a chat, or of whom to write to>
import { createInterface } from 'node:readline'

const base = process.env.LACTEA_URL ?? 'http://127.0.0.1:3000'
const place = Number(process.argv[2] ?? 0)
// Accounts are numbered up to 100000, chats above.
const target = place > 100_000 ? { chat_id: place } : { receiver_id: place }
const credentials = { username: process.env.LACTEA_USER, password: process.env.LACTEA_PASSWORD }
const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(credentials) }
const answer = await fetch(`${base}/api/auth/login`, request)
const { token, error } = (await answer.json()) as { token?: string; error?: string }
if (token === undefined) throw new Error(`the gateway does not let you in: ${error}`)

const heard = new Set<number>()
let waitMs = 1000
let socket = connect()
function connect(): WebSocket {
  const next = new WebSocket(`${base.replace('http', 'ws')}/ws`, ['bearer', token as string])
  next.onopen = () => (waitMs = 1000)
  next.onmessage = ({ data }) => {
    const { type, payload } = JSON.parse(String(data)) as { type: string; payload: { message?: { id: number } } }
    // After an absence what came last may come again.
    if (type === 'message.new' && payload.message && heard.size === heard.add(payload.message.id).size) return
    if (type !== 'pong') console.log(String(data))
  }
  next.onclose = ({ code, reason }) => {
    console.log(`not connected (${code} ${reason})`)
    setTimeout(() => (socket = connect()), waitMs)
    waitMs = Math.min(waitMs * 2, 30_000)
  }
  return next
}

const say = (type: string, payload = {}): void => socket.send(JSON.stringify({ type, payload }))
setInterval(() => socket.readyState === 1 && say('ping'), 30_000)
createInterface(process.stdin).on('line', (line) =>
  line.startsWith('{') ? socket.send(line) : say('message.send', { ...target, content: line })
)
