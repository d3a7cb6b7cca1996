// A bot of Milky 1.2: reads /event, answers by /api, and after a cut goes on where it was.
// MILKY_URL=http://127.0.0.1:3000 MILKY_TOKEN=<access token> node examples/event-bot.ts
type Message = { message_scene: string; peer_id: number; sender_id: number; segments: { data: { text?: string } }[] }
type Event = { self_id: number; event_type: string; data: Message }

const base = process.env.MILKY_URL ?? 'http://127.0.0.1:3000'
const headers = { authorization: `Bearer ${process.env.MILKY_TOKEN ?? ''}`, 'content-type': 'application/json' }
let lastId = ''

async function hear({ self_id, event_type, data }: Event): Promise<void> {
  if (event_type !== 'message_receive' || data.sender_id === self_id) return
  const words = data.segments.map((segment) => segment.data.text ?? '').join('')
  // Two bots that answer each other would never stop: an echo is not echoed.
  if (words === '' || words.startsWith('echo: ')) return
  const [api, key] = data.message_scene === 'group' ? ['group', 'group_id'] : ['private', 'user_id']
  const body = { [key]: data.peer_id, message: [{ type: 'text', data: { text: `echo: ${words}` } }] }
  const call = { method: 'POST', headers, body: JSON.stringify(body) }
  console.log(await (await fetch(`${base}/api/send_${api}_message`, call)).text())
}

async function listen(): Promise<void> {
  const response = await fetch(`${base}/event`, { headers: { ...headers, 'last-event-id': lastId } })
  if (!response.ok || !response.body) throw new Error(`refused with ${response.status}`)
  console.log('connected')
  let rest = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const [, id = '', data] of blocks.map((block) => /^id: (.*)\ndata: (.*)$/m.exec(block) ?? [])) {
      if (data) await hear(JSON.parse(data) as Event)
      lastId = id || lastId
    }
  }
}

for (;;) {
  await listen().catch((err: Error) => console.log(`not connected (${err.message})`))
  await new Promise((resolve) => setTimeout(resolve, 1000))
}
