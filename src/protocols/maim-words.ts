import type { ForwardSegment, ForwardedMessage, MediaSegment, Segment } from '../core/segment.ts'
import { faceName } from './face-names.ts'

/**
 * How what is said reads as text. MaiBot's prompts are Chinese, so these words are, in the forms that its adapters use.
 */

/** Code points of a name. */
const MAX_NAME = 64
/** Code units of a name that are looked at. */
const MAX_RAW_NAME = 1024
/** Controls that turn text around or are not seen; joiners stay, since emoji and scripts need them. */
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu
/** What no text needs; Python's databases refuse some of it. */
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g

/** A name on one line, in order from left to right, of a length that people would choose; `fallback` for one that is nothing then. */
export function cleanName(name: string, fallback: string): string {
  const bare = name.slice(0, MAX_RAW_NAME).toWellFormed().replaceAll(/\s/g, ' ').replaceAll(UNSEEN, '').trim()
  return [...bare].slice(0, MAX_NAME).join('').trim() || fallback
}

/** Half a surrogate pair is an error in Python wherever the text is stored, and the message is lost. */
export const cleanText = (text: string): string => text.toWellFormed().replaceAll(CONTROLS, '')

/** The first `limit` code units, and no half of a pair. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text
  const isHalf = /[\ud800-\udbff]/.test(text[limit - 1] ?? '')
  return text.slice(0, isHalf ? limit - 1 : Math.max(0, limit))
}

/** What a piece of media is to a brain. */
export type MediaSort = 'image' | 'emoji' | 'voice' | 'video' | 'file'

export function sortOf({ kind, file }: MediaSegment): MediaSort {
  const isFilm = file.mime.startsWith('video/')
  // Cores take moving pictures apart for stickers only; what moves as a film does is none.
  if (kind === 'gif' || kind === 'sticker') return isFilm ? 'video' : 'emoji'
  return kind === 'audio' ? 'voice' : kind
}

const MEDIA_WORDS: { readonly [S in MediaSort]: string } = {
  image: '图片',
  emoji: '表情包',
  voice: '语音',
  video: '视频',
  file: '文件'
}

/** Code units of an address that still help a reader. */
const MAX_LINK = 2048

/** `[图片]`, or `[文件] report.pdf，大小: 12，链接: https://…`: as much as is known. */
export function mediaWord(segment: MediaSegment, link = ''): string {
  const sort = sortOf(segment)
  const word = `[${MEDIA_WORDS[sort]}]`
  const { name, size } = segment.file
  const url = cleanText(link)
  const parts = [
    ...(sort === 'file' || sort === 'video' ? [cleanName(name, '')] : []),
    ...((sort === 'file' || sort === 'video') && size > 0 ? [`大小: ${size}`] : []),
    ...(url.length <= MAX_LINK && url !== '' ? [`链接: ${url}`] : [])
  ].filter((part) => part !== '')
  return parts.length === 0 ? word : `${word} ${parts.join('，')}`
}

/** What stands for media whose bytes are gone. */
export const goneWord = (segment: MediaSegment): string => `[${MEDIA_WORDS[sortOf(segment)]}已失效]`

export function faceWord(faceId: string): string {
  const name = faceName(faceId) ?? cleanName(faceId, '')
  return name === '' ? '[表情]' : `[表情：${name}]`
}

/** Code units of what is read out of a card. */
const MAX_CARD = 1000

type Fields = Readonly<Record<string, unknown>>
const toFields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
const toWords = (value: unknown): string => (typeof value === 'string' ? cleanText(value).trim() : '')

/** The words that cards hold for clients that cannot draw them, and what they are about, where it can be found. */
export function cardWord(appName: string, payload: string): string {
  const card = parseCard(payload)
  const [about] = Object.values(toFields(card['meta']))
  const { title, desc, jumpUrl, url } = toFields(about)
  const words = [card['prompt'], title, desc, jumpUrl ?? url].map(toWords).filter((word) => word !== '')
  const all = [...new Set(words)].join('，') || cleanName(appName, '')
  return all === '' ? '[卡片]' : `[卡片] ${cutText(all, MAX_CARD)}`
}

function parseCard(payload: string): Fields {
  try {
    return toFields(JSON.parse(payload))
  } catch {
    return {}
  }
}

/** What is kept of a forward, by its number. */
export type FindForward = (forwardId: number) => readonly ForwardedMessage[] | undefined

/** Forwards in forwards that are opened; those further in show what stands for them. */
export const FORWARD_DEPTH = 3
/** Messages of one forward, with those in it, that are told. */
export const FORWARD_LINES = 100
/** Code units of all of them together, and of one. */
const FORWARD_LENGTH = 20_000
const LINE_LENGTH = 2000

/** What was passed on, line by line, as a reader needs it. */
export function forwardWord(segment: ForwardSegment, find: FindForward): string {
  const lines: string[] = []
  let length = 0

  /** False when there is no room for more. */
  function add(line: string): boolean {
    if (lines.length >= FORWARD_LINES || length + line.length > FORWARD_LENGTH) return false
    lines.push(line)
    length += line.length
    return true
  }

  function open({ forwardId, preview }: ForwardSegment, depth: number): boolean {
    const messages = depth <= FORWARD_DEPTH ? find(forwardId) : undefined
    const indent = '--'.repeat(depth)
    if (!messages) return preview.every((line) => add(indent + cutText(cleanText(line), 200)))
    return messages.every(({ accountId, name, segments }) => {
      const words = cutText(segments.map(plainWord).join(''), LINE_LENGTH)
      if (!add(`${indent}【${cleanName(name, String(accountId))}】：${words}`)) return false
      return segments.every((inner) => inner.type !== 'forward' || open(inner, depth + 1))
    })
  }

  const isWhole = open(segment, 0)
  const title = cutText(cleanText(segment.title), 200)
  return [
    `========== 转发消息开始：${title} ==========`,
    ...lines,
    ...(isWhole ? [] : ['……（其余已省略）']),
    '========== 转发消息结束 =========='
  ].join('\n')
}

/** A piece of a message on its own, as text; what a forward holds is not told here. */
export function plainWord(segment: Segment): string {
  switch (segment.type) {
    case 'text':
      return cleanText(segment.text)
    case 'mention':
      return `@${cleanName(segment.name, String(segment.accountId))} `
    case 'mention_all':
      return '@全体成员 '
    case 'face':
      return faceWord(segment.faceId)
    case 'reply':
      return ''
    case 'media':
      return mediaWord(segment)
    case 'forward':
      return '[转发消息]'
    case 'light_app':
      return cardWord(segment.appName, segment.payload)
  }
}
