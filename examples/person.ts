// A person in a terminal: a line is said, as soon as there is a connection; a line of JSON is a frame of its own.
// LACTEA_USER=alice LACTEA_PASSWORD=<password> node examples/person.ts <id of a chat, or of whom to write to>
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

const { LACTEA_URL: base = 'http://127.0.0.1:3000', LACTEA_USER: username, LACTEA_PASSWORD: password } = process.env
// Accounts are numbered up to 100000, chats above.
const place = Number(process.argv[2])
const target = place > 100_000 ? { chat_id: place } : { receiver_id: place }
const headers = { 'content-type': 'application/json' }
const request = { method: 'POST', headers, body: JSON.stringify({ username, password }) }
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
setInterval(() => socket.readyState === 1 && socket.send('{"type":"ping"}'), 30_000)
for await (const line of createInterface(process.stdin)) {
  while (socket.readyState !== 1) await delay(100)
  const said = { type: 'message.send', payload: { ...target, content: line } }
  socket.send(line.startsWith('{') ? line : JSON.stringify(said))
}
