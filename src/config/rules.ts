import type { Path } from './given.ts'
import { formatPath, type Report } from './mistakes.ts'
import { findNearest } from './nearest.ts'
import type { Config, MaimConfig, ServerTls } from './schema.ts'

/** What the rules have to know of the protocols. */
export interface Words {
  /** The names of all events, by the format that calls them so. */
  readonly events: { readonly [Format in 'draft' | 'v1']: readonly string[] }
  /** Events with two names, that of the draft first. */
  readonly renamed: readonly (readonly [draft: string, v1: string])[]
}

/** A configuration in which everything may be missing, because it had a mistake of its own. */
type Loose<T> = T extends (infer Item)[]
  ? (Loose<Item> | undefined)[]
  : T extends object
    ? { [Key in keyof T]?: Loose<T[Key]> | undefined }
    : T

type Rule = (config: Loose<Config>, report: Report, words: Words) => void

const rules: Rule[] = [
  ({ bots = [] }, report) => {
    for (const [index, first] of repeats(bots.map((bot) => bot?.id))) {
      refuse(['bots', index, 'id'], `${bots[index]?.id} is already the id of bots[${first}]`, report)
    }
  },

  // The token says which bot is calling: two bots with one token would be one bot, by luck of the lookup.
  ({ bots = [] }, report) => {
    for (const [index, first] of repeats(bots.map((bot) => bot?.access_token))) {
      refuse(['bots', index, 'access_token'], `is the same as that of bots[${first}]; every bot needs its own`, report)
    }
  },

  ({ bots = [] }, report) => {
    for (const [index, bot] of bots.entries()) {
      refuseRepeatedUrls(['bots', index, 'webhooks'], bot?.webhooks ?? [], report)
      refuseRepeatedUrls(['bots', index, 'reverse_ws'], bot?.reverse_ws ?? [], report)
    }
  },

  ({ bots = [] }, report, words) => {
    for (const [index, bot] of bots.entries()) {
      for (const [place, target] of (bot?.webhooks ?? []).entries()) {
        for (const [position, name] of (target?.events ?? []).entries()) {
          const fault = name && target?.format && findEventFault(name, target.format, words)
          if (fault) refuse(['bots', index, 'webhooks', place, 'events', position], fault, report)
        }
      }
    }
  },

  ({ bots = [] }, report) => {
    for (const [index, bot] of bots.entries()) {
      const links = bot?.maim ?? []
      for (const [place, link] of links.entries()) checkLink(['bots', index, 'maim', place], link ?? {}, report)
      const roads = links.map((link) => link?.platform && link.url && `${link.platform} ${URL.parse(link.url)?.href}`)
      for (const [place, first] of repeats(roads)) {
        const path = formatPath(['bots', index, 'maim', first])
        refuse(
          ['bots', index, 'maim', place, 'url'],
          `and platform are the same as those of ${path}; every message would arrive twice`,
          report
        )
      }
    }
  },

  // A key says who is speaking, at both doors.
  ({ maim }, report) => {
    const keys = (maim?.keys ?? []).map((key) => key?.api_key)
    for (const [index, first] of repeats(keys))
      refuse(['maim', 'keys', index, 'api_key'], `is the same as that of maim.keys[${first}]`, report)
    for (const [index, token] of (maim?.legacy_tokens ?? []).entries()) {
      const key = token === undefined ? -1 : keys.indexOf(token)
      if (key < 0) continue
      refuse(
        ['maim', 'legacy_tokens', index],
        `is the api_key of maim.keys[${key}], which is good at the legacy door by itself`,
        report
      )
    }
  },

  ({ server }, report) => {
    checkServerTls(['server', 'tls'], server?.tls, report)
    for (const [index, listener] of (server?.listeners ?? []).entries()) {
      checkServerTls(['server', 'listeners', index, 'tls'], listener?.tls, report)
      for (const [place] of repeats(listener?.doors ?? []))
        refuse(['server', 'listeners', index, 'doors', place], `names ${listener?.doors?.[place]} again`, report)
    }
  },

  ({ server }, report) => {
    const listeners = server?.listeners ?? []
    const addresses = [server, ...listeners].map((at) => (at?.port ? `${at.host ?? server?.host} ${at.port}` : null))
    for (const [index, first] of repeats(addresses)) {
      const other = first === 0 ? 'server.port' : `server.listeners[${first - 1}].port`
      refuse(
        ['server', 'listeners', index - 1, 'port'],
        `${listeners[index - 1]?.port} is already taken by ${other}`,
        report
      )
    }
  },

  ({ bots = [], provision }, report) => {
    const accounts = provision?.accounts ?? []
    for (const [index, bot] of bots.entries()) {
      const person = accounts.findIndex((account) => account?.kind === 'person' && account.id === bot?.id)
      if (bot?.id === undefined || person < 0) continue
      refuse(['bots', index, 'id'], `${bot.id} is declared as a person in provision.accounts[${person}]`, report)
    }
  },

  ({ provision }, report) => {
    for (const list of ['accounts', 'groups'] as const) {
      const ids = (provision?.[list] ?? []).map((entry) => entry?.id)
      for (const [index, first] of repeats(ids)) {
        refuse(
          ['provision', list, index, 'id'],
          `${ids[index]} is already the id of provision.${list}[${first}]`,
          report
        )
      }
    }
  },

  ({ provision }, report) => {
    const usernames = (provision?.accounts ?? []).map((account) => account?.username)
    for (const [index, first] of repeats(usernames)) {
      refuse(
        ['provision', 'accounts', index, 'username'],
        `is already the username of provision.accounts[${first}]`,
        report
      )
    }
  },

  ({ provision }, report) => {
    for (const [index, pair] of (provision?.friends ?? []).entries()) {
      if (pair?.[0] === undefined || pair[0] !== pair[1]) continue
      refuse(['provision', 'friends', index], `must name two different accounts, got ${pair[0]} twice`, report)
    }
  },

  // A browser makes no connection at all when a TURN server has no password.
  ({ im }, report) => {
    for (const [index, server] of (im?.ice_servers ?? []).entries()) {
      const isTurn = server?.urls?.some((url) => url !== undefined && /^turn/i.test(url))
      if (isTurn && server?.secret === null)
        refuse(['im', 'ice_servers', index, 'secret'], 'is missing, a TURN server needs it', report)
    }
  },

  ({ outgoing }, report) => {
    if (outgoing?.guard === false && (outgoing.allowed_networks ?? []).length > 0)
      refuse(['outgoing', 'allowed_networks'], 'says nothing without outgoing.guard', report)
  },

  ({ im }, report) => {
    if (im?.jwks_url !== null) return
    for (const key of ['jwks_issuer', 'jwks_audience'] as const)
      if (im[key]) refuse(['im', key], 'says nothing without im.jwks_url', report)
  }
]

/** Reports what is wrong between keys; each key by itself has been checked against the schema. */
export function checkRules(config: unknown, report: Report, words: Words): void {
  for (const rule of rules) rule((config ?? {}) as Loose<Config>, report, words)
}

/** A server that speaks the one dialect looks for nothing of the other: it would refuse the link, or let everybody in. */
function checkLink(path: Path, link: Loose<MaimConfig>, report: Report): void {
  const { mode, url, token, api_key: key, tls } = link
  if (mode === 'api-server' && key === null)
    refuse([...path, 'api_key'], 'is missing, mode api-server needs it', report)
  if (mode === 'api-server' && token) refuse([...path, 'token'], 'is for mode legacy; api-server takes api_key', report)
  if (mode === 'legacy' && key) refuse([...path, 'api_key'], 'is for mode api-server; legacy takes token', report)
  if (!tls) return
  if (url && !/^wss:/i.test(url)) refuse([...path, 'tls'], 'says nothing without a wss:// address', report)
  if (tls.cert && tls.key === null) refuse([...path, 'tls', 'key'], 'is missing, a certificate needs it', report)
  if (tls.key && tls.cert === null) refuse([...path, 'tls', 'cert'], 'is missing, a key needs it', report)
}

/** Without authorities of its own Node believes those of the system, which sign certificates for everybody. */
function checkServerTls(path: Path, tls: Loose<ServerTls> | null | undefined, report: Report): void {
  if (!tls?.client_cert) return
  const isAsked = tls.client_cert !== 'none'
  if (isAsked && tls.ca === null) refuse([...path, 'ca'], 'is missing, client certificates are checked by it', report)
  if (!isAsked && tls.ca) refuse([...path, 'ca'], 'says nothing while client_cert is none', report)
}

/** A webhook that waits for an event which its format does not know would be silent for ever. */
function findEventFault(name: string, format: 'draft' | 'v1', { events, renamed }: Words): string | undefined {
  if (events[format].includes(name)) return undefined
  const twin = renamed.find((names) => names.includes(name))?.[format === 'draft' ? 0 : 1]
  if (twin) return `is called "${twin}" in the format ${format}, got "${name}"`
  const other = format === 'draft' ? 'v1' : 'draft'
  if (events[other].includes(name))
    return `is an event of the format ${other} alone, and this webhook has the format ${format}, got "${name}"`
  const nearest = findNearest(name, [...events[format]])
  const advice = nearest ? `did you mean "${nearest}"?` : `known are ${events[format].join(', ')}`
  return `is no event of the format ${format}, got "${name}"; ${advice}`
}

function refuseRepeatedUrls(path: Path, targets: ({ url?: string | undefined } | undefined)[], report: Report): void {
  const urls = targets.map((target) => target?.url && URL.parse(target.url)?.href)
  for (const [index, first] of repeats(urls)) {
    refuse(
      [...path, index, 'url'],
      `is the same as ${formatPath([...path, first, 'url'])}; every event would arrive twice`,
      report
    )
  }
}

function refuse(path: Path, message: string, report: Report): void {
  report(path, `${formatPath(path)} ${message}`)
}

/** Index of every value that was there before, with the index of the first one. Nothing is no value. */
function repeats(values: unknown[]): [number, number][] {
  return [...values.entries()]
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([index, value]): [number, number] => [index, values.indexOf(value)])
    .filter(([index, first]) => first < index)
}
