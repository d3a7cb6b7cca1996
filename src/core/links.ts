import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { MediaFile } from './segment.ts'

/** Where a file can be fetched by whoever has the address; made when it is told, since it does not last. */
export type LinkOf = (file: Pick<MediaFile, 'fileId' | 'url' | 'name'>) => string

/** Addresses of files that are their own permission (IM-Suite 2.4): a page shows a picture without any header. */
export interface Links {
  /** Absolute when the gateway knows its public address, else the path. */
  readonly linkOf: LinkOf
  /** Always with scheme and host: what bots are given. */
  readonly absoluteLinkOf: LinkOf
  /** Counts for ever: for what everybody may see, such as the picture that somebody shows of themselves. */
  readonly lastingLinkOf: LinkOf
  /** Whether this is what `linkOf` once gave for the file, and still counts. */
  readonly isValid: (fileId: number, expiry: string, signature: string) => boolean
  /** Which of our files the address means, permitted or not; undefined for addresses elsewhere. */
  readonly findFileId: (url: string) => number | undefined
}

export interface LinksOptions {
  /** What everything else is signed with too; the key of links is derived from it. */
  readonly secret: string
  /** Under which clients reach the gateway, without a slash at the end; undefined when nobody said. */
  readonly publicUrl: string | undefined
  /** Under which bots reach it, where that is another address; without a slash at the end. */
  readonly botUrl?: string | undefined
  /** Scheme, host and port where the gateway listens. */
  readonly origin: () => string
  /** Unix seconds. */
  readonly now: () => number
}

const HOUR_S = 3600
/** A link lives at least a day. It ends at a full hour, so that all links of one hour are the same and caches help. */
const LIFE_HOURS = 24
/** The last second of the year 9999. */
const NEVER = '253402300799'
/** What paths are resolved against. */
const HERE = 'http://here.invalid'
const PATH = /^\/api\/files\/([1-9]\d{0,14})(?:\/[^/]*)?$/

export function createLinks({ secret, publicUrl, botUrl, origin, now }: LinksOptions): Links {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'lactea file links', 32))
  const { origin: publicOrigin, pathname: prefix } = new URL(publicUrl ?? HERE)

  function sign(fileId: number, expiry: string): Buffer {
    return createHmac('sha256', key).update(`${fileId}|${expiry}`).digest()
  }

  function isSigned(fileId: number, expiry: string, signature: string): boolean {
    const given = Buffer.from(signature, 'base64url')
    const right = sign(fileId, expiry)
    return given.length === right.length && timingSafeEqual(given, right)
  }

  const nextExpiry = (): string => String((Math.floor(now() / HOUR_S) + LIFE_HOURS + 1) * HOUR_S)

  function toPath(fileId: number, name: string, expiry: string): string {
    return `/api/files/${fileId}/${toPathName(name)}?exp=${expiry}&sig=${sign(fileId, expiry).toString('base64url')}`
  }

  const linkOn =
    (base: () => string, toExpiry = nextExpiry): LinkOf =>
    ({ fileId, url = '', name }) =>
      fileId === undefined ? url : base() + toPath(fileId, name, toExpiry())

  return {
    linkOf: linkOn(() => publicUrl ?? ''),
    absoluteLinkOf: linkOn(() => botUrl ?? publicUrl ?? origin()),
    lastingLinkOf: linkOn(
      () => publicUrl ?? '',
      () => NEVER
    ),

    isValid: (fileId, expiry, signature) =>
      /^\d{1,12}$/.test(expiry) && Number(expiry) > now() && isSigned(fileId, expiry, signature),

    findFileId(url) {
      const parsed = URL.parse(url, HERE)
      if (!parsed) return undefined
      const { pathname, searchParams } = parsed
      const path = prefix !== '/' && pathname.startsWith(`${prefix}/`) ? pathname.slice(prefix.length) : pathname
      const fileId = Number(PATH.exec(path)?.[1] ?? 0)
      if (fileId === 0) return undefined
      const isOurs =
        [HERE, origin(), publicOrigin].includes(parsed.origin) ||
        // Clients make paths absolute with whatever address they know us by.
        isSigned(fileId, searchParams.get('exp') ?? '', searchParams.get('sig') ?? '')
      return isOurs ? fileId : undefined
    }
  }
}

/** For people who look at the address; nothing depends on it. */
function toPathName(name: string): string {
  const [, stem = '', extension = ''] = /^(.*?)(\.[A-Za-z0-9]{1,8})?$/su.exec(name) ?? []
  return (stem.replace(/[^\w-]+/g, '_').slice(0, 40) || '_') + extension
}
