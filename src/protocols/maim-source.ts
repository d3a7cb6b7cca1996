import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isObject } from '../../sdk/src/message.ts'
import type { Source } from '../schema/spoken.ts'
import { toId } from './maim-target.ts'

/** Which of our files an address means; undefined for addresses elsewhere. */
export type FindFileId = (url: string) => number | undefined

/** Characters of an address of ours. */
const MAX_OWN_LINK = 4096

/** Anything that says itself what it is: an address, a `data:` URL or `base64://`. */
function toAddress(given: string, findFileId: FindFileId): Source | undefined {
  if (/^(?:https?:\/\/|\/api\/files\/)/i.test(given)) {
    const fileId = given.length > MAX_OWN_LINK ? undefined : findFileId(given)
    if (fileId !== undefined) return { file_id: fileId }
    return given.startsWith('/') ? undefined : { uri: given }
  }
  if (/^(?:base64|file):\/\//i.test(given)) return { uri: given }
  const data = /^data:[^,]{0,256}?;base64,/i.exec(given)
  return data ? { uri: `base64://${given.slice(data[0].length)}` } : undefined
}

const isEmpty = (text: unknown): boolean => typeof text !== 'string' || text.trim() === ''

/** Bytes of pictures, sound and films: base64 without anything before it, or an address (contract 5.3). */
export function toSource(data: unknown, findFileId: FindFileId): Source | undefined {
  if (isObject(data)) return fromObject(data, findFileId)
  if (typeof data !== 'string' || isEmpty(data)) return undefined
  return toAddress(data.trimStart(), findFileId) ?? { uri: `base64://${data}` }
}

/** The objects that adapters send for media: bytes before addresses. */
function fromObject(data: Readonly<Record<string, unknown>>, findFileId: FindFileId): Source | undefined {
  for (const key of ['base64', 'url', 'file', 'data']) {
    const value = data[key]
    if (typeof value !== 'string' || isEmpty(value)) continue
    const source = key === 'base64' ? toSource(value, findFileId) : toAddress(value.trimStart(), findFileId)
    if (source) return source
  }
  return undefined
}

/** A document: an address or a path, MaiBot's `{name,size,url,file_id,mime_type,base64}`, adapters' `{file,name,path,thumb,url}`. */
export function toDocument(data: unknown, findFileId: FindFileId): Source | undefined {
  if (typeof data === 'string') return fromPath(data, findFileId)
  if (!isObject(data)) return undefined
  const source = findDocument(data, findFileId)
  const { name } = data
  return source && 'uri' in source && typeof name === 'string' && name !== '' ? { ...source, name } : source
}

function findDocument(data: Readonly<Record<string, unknown>>, findFileId: FindFileId): Source | undefined {
  const { base64, file_id } = data
  if (typeof base64 === 'string' && !isEmpty(base64)) return toSource(base64, findFileId)
  for (const value of [data['url'], data['file'], data['path']]) {
    const source = typeof value === 'string' ? fromPath(value, findFileId) : undefined
    if (source) return source
  }
  const fileId = toId(file_id)
  return fileId === undefined ? undefined : { file_id: fileId }
}

/** A path is taken as an address on the disk, of which only the folders are read that the configuration opens. */
function fromPath(given: string, findFileId: FindFileId): Source | undefined {
  const address = toAddress(given.trim(), findFileId)
  if (address || !isAbsolute(given) || given.includes('\0')) return address
  return { uri: pathToFileURL(given.toWellFormed()).href }
}

/** Bytes of the smallest pictures there are, in base64. */
const SMALLEST_PICTURE = 40

/** What stands where a sticker should, but is one of the pictures that are text. */
export function isWords(data: string): boolean {
  return (
    !/^(?:https?|base64|data|file):|^\/api\/files\//i.test(data.trimStart()) &&
    (data.length < SMALLEST_PICTURE || !/^[\w+/=\s-]*$/.test(data))
  )
}
