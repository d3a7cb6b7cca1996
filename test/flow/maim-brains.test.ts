import t, { type Test } from 'tap'
import { APIMessageBase, MessageBase, MessageConverter, type Envelope } from '../../sdk/src/index.ts'
import { world } from '../helpers/app.ts'
import { startBotServer, type BotServer, type Dialled } from '../helpers/bot-server.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { openMaimPeer } from '../helpers/maim-peer.ts'
import { startService, type Service } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const GROUP = 100001
const ALICE = '10011'
const BOTS = [10001, 10002, 10003]
const KEY = 'key-of-the-third-brain'

/** A brain that answers people, quoting them, and each message once, however often it is told. */
function createBrain(name: string) {
  const known = new Set<string>()
  return (heard: MessageBase): MessageBase | undefined => {
    const { user_info, message_id, group_info = null, platform = '' } = heard.message_info
    if (user_info?.user_id !== ALICE || known.has(String(message_id))) return undefined
    known.add(String(message_id))
    const words = (heard.message_segment.data as { data: string }[]).map(({ data }) => data).join('')
    return {
      message_info: { platform, message_id: `${name}-${message_id}`, time: Date.now() / 1000, group_info, user_info },
      message_segment: {
        type: 'seglist',
        data: [
          { type: 'reply', data: message_id },
          { type: 'text', data: `${name}: ${words}` }
        ]
      }
    }
  }
}

/** Lets a server answer on every connection that comes, until the test ends. */
async function serve(server: BotServer, answer: (socket: Dialled, frame: any) => void): Promise<void> {
  for (;;) {
    const socket = await server.next()
    socket.socket.on('message', (data) => answer(socket, JSON.parse(String(data))))
  }
}

async function startLegacyBrain(t: Test, think: ReturnType<typeof createBrain>, port = 0): Promise<BotServer> {
  const server = await startBotServer(t, { port })
  void serve(server, (socket, frame) => {
    if (frame.is_custom_message) return
    const answer = think(MessageBase.from(frame))
    if (answer) socket.send(MessageBase.toObject(answer))
  })
  return server
}

/** What an API client or server says to what it hears. */
function reply(think: ReturnType<typeof createBrain>, { type, payload }: Envelope, apiKey: string) {
  if (type !== 'sys_std') return undefined
  const answer = think(MessageConverter.fromApiReceive(APIMessageBase.from(payload)))
  if (!answer) return undefined
  const message = APIMessageBase.toObject(MessageConverter.toApiSend(answer, { apiKey }))
  const meta = { sender_user: 'brain', platform: 'lactea', timestamp: Date.now() / 1000 }
  return { ver: 1, msg_id: `msg_${String(answer.message_info.message_id)}`, type: 'sys_std', meta, payload: message }
}

async function startApiBrain(t: Test, think: ReturnType<typeof createBrain>, port = 0): Promise<BotServer> {
  const server = await startBotServer(t, { port })
  void serve(server, (socket, envelope) => {
    if (envelope.type === 'sys_ack') return
    const meta = { uuid: 'u', acked_msg_id: envelope.msg_id, timestamp: 1.5 }
    socket.send({ ver: 1, msg_id: 'a', type: 'sys_ack', meta, payload: { status: 'received', server_timestamp: 1.5 } })
    const answer = reply(think, envelope, 'key-of-the-second-brain')
    if (answer) socket.send(answer)
  })
  return server
}

const portOf = ({ url }: { url: string }): number => Number(new URL(url).port)

t.test(
  'a legacy brain, an API-Server brain and one at our door all answer, whatever restarts',
  { timeout: 110_000 },
  async (t) => {
    const thinkers = ['first', 'second', 'third'].map((name) => createBrain(name))
    const [first, second, third] = thinkers as [(typeof thinkers)[0], (typeof thinkers)[0], (typeof thinkers)[0]]
    let legacy = await startLegacyBrain(t, first)
    let api = await startApiBrain(t, second)
    const links = [
      [{ url: `${legacy.url}/ws`, mode: 'legacy', platform: 'lactea' }],
      [{ url: `${api.url}/ws`, mode: 'api-server', platform: 'lactea', api_key: 'key-of-the-second-brain' }],
      []
    ]
    const cwd = makeDirectory(t, {
      bots: BOTS.map((id, index) => ({
        id,
        nickname: `Bot ${index}`,
        access_token: `token-${id}`,
        maim: links[index]
      })),
      maim: { keys: [{ api_key: KEY, account: 10003 }] },
      provision: {
        ...world.provision,
        friends: [],
        groups: [{ id: GROUP, name: 'G', owner: 10001, members: [...BOTS.slice(1), 10011] }]
      },
      limits: { maim_repeat: 200 },
      log: { level: 'error' }
    })
    let service = await startService(t, cwd)
    const port = portOf(service)
    const join = () =>
      openMaimPeer(t, {
        url: `${service.ws}/maim/ws`,
        apiKey: KEY,
        platform: 'lactea',
        uuid: 'third-brain',
        onEnvelope(envelope, send) {
          const answer = reply(third, envelope, KEY)
          if (answer) send(answer)
        }
      })
    let peer = join()
    await peer.opened

    async function restart(): Promise<void> {
      await service.kill('SIGKILL')
      service = await startService(t, cwd, ['--port', String(port)])
    }

    const rounds: [string, (say: () => Promise<void>) => Promise<void>][] = [
      ['while all are there', (say) => say()],
      [
        'while the legacy brain is away',
        async (say) => {
          await legacy.stop()
          await say()
          legacy = await startLegacyBrain(t, first, portOf(legacy))
        }
      ],
      [
        'while the API-Server brain is away',
        async (say) => {
          await api.stop()
          await say()
          api = await startApiBrain(t, second, portOf(api))
        }
      ],
      [
        'while the brain at the door is away',
        async (say) => {
          await peer.stop()
          await say()
          peer = join()
        }
      ],
      [
        'just before the gateway is killed, with nobody there',
        async (say) => {
          await Promise.all([legacy.stop(), api.stop(), peer.stop()])
          await say()
          await restart()
          legacy = await startLegacyBrain(t, first, portOf(legacy))
          api = await startApiBrain(t, second, portOf(api))
          peer = join()
        }
      ],
      ['after the gateway was killed and started again', (say) => say()]
    ]
    for (const [when, act] of rounds) {
      await act(() => sayAsAlice(service, when))
      await waitFor(
        async () => (await readGroup(service)).filter(({ words }) => words.endsWith(`: ${when}`)).length === 3,
        `three answers ${when}`
      )
    }

    const group = await readGroup(service)
    for (const [when] of rounds) {
      const said = group.find(({ words }) => words === when)
      const answers = group.filter(({ words }) => words.endsWith(`: ${when}`)).toSorted((a, b) => a.sender - b.sender)
      t.strictSame(
        answers.map(({ words }) => words),
        ['first', 'second', 'third'].map((name) => `${name}: ${when}`),
        `each of the three answers what was said ${when}`
      )
      t.strictSame(
        answers.map(({ sender }) => sender),
        BOTS,
        'by its own bot'
      )
      t.ok(
        answers.every(({ quotes }) => quotes === said?.seq),
        'and quotes it'
      )
    }
    t.equal(group.length, rounds.length * 4, 'and nothing else is said')
  }
)

async function sayAsAlice({ url }: Service, content: string): Promise<void> {
  const token = await signIn(url)
  const response = await fetch(`${url}/api/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ chat_id: GROUP, content })
  })
  if (!response.ok) throw new Error(await response.text())
}

async function signIn(url: string): Promise<string> {
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'alice', password: 'alice-secret' })
  })
  return ((await response.json()) as { token: string }).token
}

interface Said {
  readonly seq: number
  readonly sender: number
  readonly words: string
  readonly quotes: number | undefined
}

/** What the group has heard, by Milky. */
async function readGroup({ url }: Service): Promise<Said[]> {
  const response = await fetch(`${url}/api/get_history_messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer token-10001' },
    body: JSON.stringify({ message_scene: 'group', peer_id: GROUP, limit: 30 })
  })
  const { data } = (await response.json()) as any
  return data.messages.map(({ message_seq, sender_id, segments }: any) => ({
    seq: message_seq,
    sender: sender_id,
    words: segments.map(({ data: { text = '' } }: any) => text).join(''),
    quotes: segments.find(({ type }: any) => type === 'reply')?.data.message_seq
  }))
}
