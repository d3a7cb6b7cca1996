import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { startApp, text, world } from '../helpers/app.ts'
import { DOCUMENT, openStage } from '../helpers/milky-catalogue.ts'
import { openStream } from '../helpers/event-stream.ts'
import { faultOfEvent } from '../helpers/milky-judge.ts'
import { openSocket, wrapSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'

const GROUP = 100001
const [one, two] = [10001, 10002]

/** A server that one bot waits at to be dialled. */
async function startServer(t: Test): Promise<{ url: string; dialled: Promise<any> }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => server.close())
  await once(server, 'listening')
  const dialled = once(server, 'connection').then(([socket]) => wrapSocket(socket))
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, dialled }
}

const PREFIX = { friend: 'Private', group: 'Group', temp: 'Temp' } as const
const idOf = ({ message_scene = 'group', peer_id, group_id = peer_id, message_seq }: any): string =>
  `${PREFIX[message_scene as 'friend']}:${group_id}:${message_seq}`

const draftSegment = ({ type, data }: any, scene: object): object[] => {
  if (type === 'file') return []
  if (type === 'mention') return [{ type: 'at', data: { user_id: data.user_id } }]
  if (type === 'mention_all') return [{ type: 'text', data: { text: '@all' } }]
  if (type === 'reply') return [{ type, data: { message_id: idOf({ ...scene, message_seq: data.message_seq }) } }]
  return [{ type, data }]
}

/** What the draft makes of an event of Milky 1.2 (contract 1.11); undefined where it has no form for it. */
function toDraft({ time, event_type, data }: any): object | undefined {
  const { group_id, message_seq: _, ...rest } = data
  const draft = (type: string, shown: object): object => ({ time, event_type: type, data: shown })
  switch (event_type) {
    case 'message_receive': {
      const segments = data.segments.flatMap((segment: object) => draftSegment(segment, data))
      if (segments.length === 0) return undefined
      const isGroup = data.message_scene === 'group'
      return draft('message_receive', {
        message_id: idOf(data),
        time: data.time,
        user_id: data.sender_id,
        segments,
        message_type: isGroup ? 'group' : 'private',
        ...(isGroup && { group_id: data.peer_id })
      })
    }
    case 'message_recall':
      return draft(event_type, { message_id: idOf(data), operator_id: data.operator_id })
    case 'group_name_change':
      return draft(event_type, { group_id, name: data.new_group_name, operator_id: data.operator_id })
    case 'group_message_reaction':
      return draft(event_type, {
        group_id,
        user_id: data.user_id,
        message_id: idOf(data),
        face_id: data.face_id,
        is_add: data.is_add
      })
    case 'group_essence_message_change':
      return draft(event_type, { group_id, message_id: idOf(data), is_set: data.is_set })
    case 'group_mute':
    case 'group_admin_change': {
      const { operator_id: _operator, ...shown } = data
      return draft(event_type, shown)
    }
    case 'group_nudge':
      return draft('group_poke', { group_id, sender_id: data.sender_id, receiver_id: data.receiver_id })
    case 'friend_nudge': {
      const { user_id, is_self_send, is_self_receive } = data
      return draft('friend_poke', { user_id, is_self_send, is_self_receive })
    }
    case 'friend_file_upload': {
      const { file_hash: _hash, ...shown } = rest
      return draft(event_type, shown)
    }
    case 'group_invitation':
      return draft('group_invitation_request', {
        request_id: `Invitation:${group_id}:${data.invitation_seq}`,
        operator_id: data.initiator_id,
        group_id
      })
    case 'group_join_request':
      return draft(event_type, {
        request_id: `Join:${group_id}:${data.notification_seq}`,
        operator_id: data.initiator_id,
        group_id,
        comment: data.comment
      })
    case 'friend_request':
      return draft(event_type, {
        request_id: `Friend:${data.initiator_uid}`,
        operator_id: data.initiator_id,
        comment: data.comment,
        via: data.via
      })
    case 'peer_pin_change':
    case 'bot_offline':
      return undefined
    default:
      return draft(event_type, data)
  }
}

t.test('the same events reach all seven doors of both dialects, once each and in the same order', async (t) => {
  const [hook, hook12] = [await startWebhook(t), await startWebhook(t)]
  const [server, server12] = [await startServer(t), await startServer(t)]
  const bots = [
    world.bots[0],
    {
      ...world.bots[1],
      // Several chats at a time are told in no order among themselves.
      webhooks: [
        { url: hook.url, parallel: 1 },
        { url: hook12.url, format: 'v1', parallel: 1 }
      ],
      reverse_ws: [{ url: server.url }, { url: server12.url, format: 'v1' }]
    }
  ]
  const app = await startApp(t, { config: { bots, limits: { group_members: 50 } } })
  const [reverse, reverse12] = [await server.dialled, await server12.dialled]
  const direct = await openSocket(t, `${app.ws}/?access_token=token-two`)
  const socket12 = await openSocket(t, `${app.ws}/event?access_token=token-two`)
  const stream = await openStream(t, `${app.url}/event?access_token=token-two`)
  const { act, person } = openStage(app)

  const group = { group_id: GROUP }
  const said = await act(one, 'send_group_message', {
    ...group,
    message: [{ type: 'mention', data: { user_id: two } }, { type: 'mention_all' }, ...text('hello')]
  })
  const seq = said.message_seq
  await act(one, 'send_group_message', {
    ...group,
    message: [{ type: 'reply', data: { message_seq: seq } }, ...text('x')]
  })
  await act(one, 'send_private_message', { user_id: two, message: text('hello') })
  await act(one, 'send_group_message_reaction', { ...group, message_seq: seq, reaction: '14' })
  await act(one, 'set_group_essence_message', { ...group, message_seq: seq })
  await act(two, 'set_peer_pin', { message_scene: 'group', peer_id: GROUP })
  await act(one, 'set_group_name', { ...group, new_group_name: 'Name' })
  await act(one, 'upload_group_file', { ...group, file_uri: DOCUMENT, file_name: 'a.txt' })
  await act(one, 'upload_private_file', { user_id: two, file_uri: DOCUMENT, file_name: 'a.txt' })
  await act(one, 'send_group_nudge', { ...group, user_id: two })
  await act(one, 'send_friend_nudge', { user_id: two })
  await act(one, 'set_group_member_admin', { ...group, user_id: two })
  await act(one, 'set_group_member_mute', { ...group, user_id: 10011, duration: 60 })
  await act(one, 'set_group_whole_mute', group)
  await act(one, 'set_group_whole_mute', { ...group, is_mute: false })
  await act(await person(), 'add_contact', { user_id: two })
  await act(await person(), 'request_group_join', { ...group, comment: 'let me in' })
  await act(one, 'recall_group_message', { ...group, message_seq: seq })
  await act(one, 'kick_group_member', { ...group, user_id: 10011 })
  await act(one, 'send_group_message', { ...group, message: text('the end') })

  const told: any[] = []
  do told.push(await socket12.next())
  while (told.at(-1).data.segments?.[0]?.data.text !== 'the end')
  for (const event of told) t.equal(faultOfEvent(event), undefined, event.event_type)
  t.equal(told[0].data.group.max_member_count, 50, 'the limit of the configuration')
  t.equal(told.length, 22, told.map(({ event_type }) => event_type).join(' '))

  const same = async (door: string, next: () => Promise<any>, expected: readonly unknown[]): Promise<void> => {
    for (const [index, event] of expected.entries()) t.strictSame(await next(), event, `${door}, event ${index}`)
  }
  const nextOfStream = async (): Promise<unknown> => {
    const { event, data } = await stream.next()
    t.equal(event, 'milky_event')
    return data
  }
  await same('server-sent events', nextOfStream, told)
  await same('the webhook of 1.2', async () => (await hook12.next()).body, told)
  await same('the reverse WebSocket of 1.2', reverse12.next, told)

  const drafts = told.flatMap((event) => toDraft(event) ?? [])
  t.equal(drafts.length, 19)
  await same('the WebSocket of the draft', async () => (await direct.next()).data, drafts)
  await same('the webhook of the draft', async () => (await hook.next()).body, drafts)
  await same('the reverse WebSocket of the draft', async () => (await reverse.next()).data, drafts)

  const sockets = [socket12, stream, reverse12, direct, reverse]
  t.strictSame(sockets.map((door) => door.waiting()).flat(), [])
  t.strictSame([hook12.all.length, hook.all.length], [22, 19])
})
