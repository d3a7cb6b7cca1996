/** What HTTP says of a file that is sent. */
export interface Range {
  /** Both included. */
  readonly start: number
  readonly end: number
}

/**
 * The one part of `size` bytes that the header `Range` asks for (RFC 9110 §14.2). Undefined when all of them are meant: no
 * header, several parts, another unit. Null when there is no such part.
 */
export function parseRange(header: string | undefined, size: number): Range | null | undefined {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '') ?? []
  if (from === '' && to === '') return undefined
  if (from === '') return Number(to) === 0 ? null : { start: Math.max(0, size - Number(to)), end: size - 1 }
  const [start, end] = [Number(from), to === '' ? size - 1 : Math.min(Number(to), size - 1)]
  if (to !== '' && Number(to) < start) return undefined
  return start < size ? { start, end } : null
}

/** Whether a header such as `If-None-Match` names this tag, in quotes (RFC 9110 §13.1.2). */
export function namesTag(header: string | undefined, tag: string): boolean {
  const tags = header?.split(',').map((one) => one.trim().replace(/^W\//, '')) ?? []
  return tags.includes(tag) || tags.includes('*')
}

/** What browsers show without running anything in it. */
const SHOWN =
  /^(image\/(png|apng|jpeg|gif|webp|avif|bmp)|audio\/[\w.+-]+|application\/ogg|video\/(mp4|webm|ogg|quicktime|x-m4v|3gpp))$/

/** `Content-Disposition` with the name for old and new readers (RFC 6266, RFC 5987). Only what is known to be harmless is shown in its place. */
export function toDisposition({ name, mime }: { readonly name: string; readonly mime: string }): string {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_')
  const full = encodeURIComponent(name).replace(/['()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`)
  return `${SHOWN.test(mime) ? 'inline' : 'attachment'}; filename="${plain}"; filename*=UTF-8''${full}`
}
