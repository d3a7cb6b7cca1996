import type { Path } from './given.ts'
import { formatPath, type Report } from './mistakes.ts'
import { findNearest } from './nearest.ts'
import type { Config } from './schema.ts'

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
