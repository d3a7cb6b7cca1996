import { isObject, type MessageBase } from '../../sdk/src/message.ts'
import type { SpokenSegment } from '../schema/spoken.ts'
import { readCommand, type Command } from './maim-command.ts'
import { isWords, toDocument, toSource, type FindFileId } from './maim-source.ts'
import { findTarget, toId, type Target } from './maim-target.ts'

/** What a brain wants to be said and done (contract 5.3). */
export interface Speech {
  /** Whom it is for, or what is wrong with that. */
  readonly target: Target | string
  /** One message; empty when there is nothing to say. */
  readonly said: readonly SpokenSegment[]
  readonly commands: readonly Command[]
  /** Types of segments that mean nothing in a chat. */
  readonly passedOver: readonly string[]
}

export interface HearingOptions {
  /** The bot that speaks. */
  readonly selfId: number
  readonly findFileId: FindFileId
}

/** Reads what a brain says. Whatever that is, it never throws. */
export function readSpeech(message: MessageBase, { selfId, findFileId }: HearingOptions): Speech {
  const reading: Reading = { findFileId, forwards: 0, said: [], commands: [], passedOver: new Set(), quoted: undefined }
  readSegment(message.message_segment, reading, 0)
  const { commands, passedOver } = reading
  return { target: findTarget(message, selfId), said: saidIn(reading), commands, passedOver: [...passedOver] }
}

/** What is found while the segments are gone through. */
interface Reading {
  readonly findFileId: FindFileId
  /** Forwards around it. */
  readonly forwards: number
  readonly said: SpokenSegment[]
  readonly commands: Command[]
  readonly passedOver: Set<string>
  /** The message that it answers. */
  quoted: number | undefined
}

/** Lists in lists. */
const MAX_DEPTH = 64
/** Forwards in forwards: as deep as chats show them. */
const MAX_FORWARDS = 3
/** Of one message: each is an action of its own. */
const MAX_COMMANDS = 32
/** Types that are told of. */
const MAX_PASSED_OVER = 8
/** Characters of a face's id, and of a sender's name. */
const MAX_FACE = 64
const MAX_NAME = 128

function readSegment(segment: unknown, reading: Reading, depth: number): void {
  if (!isObject(segment)) return
  const { type, data } = segment
  if (type === 'seglist' && Array.isArray(data) && depth < MAX_DEPTH)
    for (const inner of data) readSegment(inner, reading, depth + 1)
  else if (typeof type === 'string' && Object.hasOwn(READERS, type)) READERS[type]?.(data, reading)
  else passOver(type, reading)
}

function passOver(type: unknown, { passedOver }: Reading): void {
  if (passedOver.size < MAX_PASSED_OVER) passedOver.add(typeof type === 'string' ? type.slice(0, 32) : 'none')
}

/** A message answers one at most, and says so first. */
function saidIn({ said, quoted }: Reading): SpokenSegment[] {
  const [only] = said
  // Nobody answers with nothing.
  if (quoted === undefined || !only) return said
  return [{ type: 'reply', data: { message_id: quoted } }, ...said]
}

type Reader = (data: unknown, reading: Reading) => void

/** What each type means; a type that has no line here means nothing in a chat. */
const READERS: { readonly [type: string]: Reader } = {
  text: (data, reading) => sayText(toWords(data), reading),
  tts_text: (data, reading) => sayText(toWords(data), reading),
  image: media('image', toSource),
  imageurl: media('image', toSource),
  voice: media('voice', toSource),
  voiceurl: media('voice', toSource),
  video: media('video', toSource),
  videourl: media('video', toSource),
  file: media('file', toDocument),
  emoji(data, reading) {
    if (typeof data === 'string' && isWords(data)) return say(data, reading)
    READ_STICKER(data, reading)
  },
  at: readMention,
  mention: readMentions,
  reply(data, reading) {
    const id = isObject(data) ? (data['id'] ?? data['message_id']) : data
    // MaiBot answers notices, which are no messages. Of several quotes the last counts.
    if (id !== 'notice') reading.quoted = toId(id) ?? reading.quoted
  },
  face(data, reading) {
    const id = isObject(data) ? data['id'] : data
    const faceId = typeof id === 'number' ? String(id) : id
    if (typeof faceId !== 'string' || faceId === '' || faceId.length > MAX_FACE) return passOver('face', reading)
    reading.said.push({ type: 'face', data: { face_id: faceId } })
  },
  forward: readForward,
  music: readMusic,
  music_card: readCard,
  video_card: readCard,
  miniapp_card: readCard,
  command(data, reading) {
    // Those who are quoted do not command.
    if (reading.forwards > 0 || reading.commands.length >= MAX_COMMANDS) return passOver('command', reading)
    reading.commands.push(readCommand(data))
  },
  // How it is to be spoken, or what somebody knows beside it: nothing to be said.
  priority_info() {},
  thread_context() {},
  mention_bot() {}
}

const READ_STICKER = media('sticker', toSource)

type MediaKind = Extract<SpokenSegment, { type: 'media' }>['data']['kind']

function media(kind: MediaKind, read: typeof toSource): Reader {
  return (data, reading) => {
    const source = read(data, reading.findFileId)
    if (source) reading.said.push({ type: 'media', data: { kind, source } })
    else passOver(kind, reading)
  }
}

function toWords(data: unknown): string {
  if (typeof data === 'string') return data
  if (typeof data === 'number') return String(data)
  return isObject(data) && typeof data['text'] === 'string' ? data['text'] : ''
}

/** As MaiBot writes a mention: `@<nickname:account>`. */
const MENTION = /@<([^<>\n]{0,64}):([1-9]\d{0,15})>/g

/** Words, and the mentions in them. */
function sayText(text: string, reading: Reading): void {
  let end = 0
  for (const match of text.matchAll(MENTION)) {
    const [whole, name = '', id] = match
    const userId = toId(id)
    if (userId === undefined) continue
    say(text.slice(end, match.index), reading)
    reading.said.push({ type: 'mention', data: { user_id: userId, name } })
    end = match.index + whole.length
  }
  say(text.slice(end), reading)
}

/** Words that follow words are one segment: chats bound how many there are. */
function say(text: string, { said }: Reading): void {
  if (text === '') return
  const last = said.at(-1)
  if (last?.type !== 'text') said.push({ type: 'text', data: { text } })
  else said[said.length - 1] = { type: 'text', data: { text: last.data.text + text } }
}

/** An account as text or number, `all`, OneBot's object, or `@<nickname:account>`. */
function readMention(data: unknown, reading: Reading): void {
  const given = isObject(data) ? (data['qq'] ?? data['user_id'] ?? data['target_user_id']) : data
  const userId = toId(given)
  if (given === 'all') reading.said.push({ type: 'mention_all', data: {} })
  else if (userId !== undefined) reading.said.push({ type: 'mention', data: { user_id: userId, name: nameIn(data) } })
  else if (typeof given === 'string') sayText(given.startsWith('@') || given === '' ? given : `@${given}`, reading)
  else passOver('at', reading)
}

function nameIn(data: unknown): string {
  if (!isObject(data)) return ''
  const { name, user_nickname, target_user_nickname } = data
  const found = [name, user_nickname, target_user_nickname].find((value) => typeof value === 'string' && value !== '')
  return typeof found === 'string' ? found.slice(0, MAX_NAME) : ''
}

/** Discord's `{users, roles, everyone}`; there are no roles here that could be called. */
function readMentions(data: unknown, reading: Reading): void {
  if (!isObject(data)) return passOver('mention', reading)
  const { users, everyone } = data
  if (everyone === true) reading.said.push({ type: 'mention_all', data: {} })
  for (const user of Array.isArray(users) ? users : [])
    readMention(isObject(user) && 'id' in user ? user['id'] : user, reading)
}

function readForward(data: unknown, reading: Reading): void {
  const forwards = reading.forwards + 1
  if (!Array.isArray(data) || forwards > MAX_FORWARDS) return passOver('forward', reading)
  const messages = data.flatMap((node) => toNode(node, { ...reading, forwards }))
  if (messages.length > 0) reading.said.push({ type: 'forward', data: { messages } })
  else passOver('forward', reading)
}

type Node = Extract<SpokenSegment, { type: 'forward' }>['data']['messages'][number]

/** One message of a forward: itself, or the id of one that is there. Nothing, when it says nothing. */
function toNode(node: unknown, around: Reading): Node[] {
  if (!isObject(node)) return []
  const { message_segment: segment, message_info: info } = node
  if (isObject(segment) && segment['type'] === 'id') {
    const id = toId(segment['data'])
    return id === undefined ? [] : [{ message_id: id }]
  }
  const reading: Reading = { ...around, said: [], quoted: undefined }
  readSegment(segment, reading, 0)
  if (reading.said.length === 0) return []
  const { user, time } = readSender(info)
  const { user_id, user_cardname, user_nickname } = user
  const userId = toId(user_id)
  const name = [user_cardname, user_nickname].find((value) => typeof value === 'string' && value !== '')
  return [
    {
      ...(userId !== undefined && { user_id: userId }),
      sender_name: typeof name === 'string' ? name.slice(0, MAX_NAME) : '',
      ...(time !== undefined && { time }),
      segments: reading.said
    }
  ]
}

function readSender(info: unknown): { user: Readonly<Record<string, unknown>>; time: number | undefined } {
  const { user_info, sender_info, time: given } = isObject(info) ? info : {}
  const sender = isObject(sender_info) ? sender_info['user_info'] : undefined
  const user = [user_info, sender].find(isObject) ?? {}
  const time =
    typeof given === 'number' && given >= 1 && given <= Number.MAX_SAFE_INTEGER ? Math.floor(given) : undefined
  return { user, time }
}

/** No program of ours plays them, so they become an address. */
function readMusic(data: unknown, reading: Reading): void {
  const { type = '163', id = data } = isObject(data) ? data : {}
  if ((typeof id !== 'string' && typeof id !== 'number') || !/^[\w-]{1,64}$/.test(String(id)))
    return passOver('music', reading)
  say(type === 'qq' ? `https://y.qq.com/n/ryqq/songDetail/${id}` : `https://music.163.com/song?id=${id}`, reading)
}

/** A card is drawn by programs that are not here; what it is called and where it leads can be said. */
function readCard(data: unknown, reading: Reading): void {
  if (!isObject(data)) return passOver('card', reading)
  const { title, singer, desc, url, source_url, jump_url, music_url } = data
  const words = [title, singer, desc, source_url || jump_url || url || music_url]
  const said = words.filter((word) => typeof word === 'string' && word !== '')
  if (said.length === 0) return passOver('card', reading)
  say(said.join('\n'), reading)
}
