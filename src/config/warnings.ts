import { formatPath } from './mistakes.ts'
import type { Config } from './schema.ts'

type Rule = (config: Config) => readonly string[]

/** As long as a webhook is tried for one event (`PAUSES_S` of src/net/delivery-schedule.ts, with what they may vary). */
export const LONGEST_WAIT_MS = 91 * 3600 * 1000

const RULES: readonly Rule[] = [
  // A connection on which nobody says anything lives by its pongs alone.
  ({ limits }) =>
    limits.im_silence <= limits.im_ping
      ? [
          `limits.im_silence (${limits.im_silence} ms) is not longer than limits.im_ping (${limits.im_ping} ms): who only listens is cut off before the first ping`
        ]
      : [],

  ({ limits }) =>
    limits.maim_keep_time < limits.maim_repeat
      ? [
          `limits.maim_keep_time (${limits.maim_keep_time} ms) is shorter than limits.maim_repeat (${limits.maim_repeat} ms): what is not acknowledged at once is given up before it is sent again`
        ]
      : [],

  ({ limits, bots }) =>
    limits.log_age < LONGEST_WAIT_MS && bots.some(({ webhooks }) => webhooks.length > 0)
      ? [
          `limits.log_age (${Math.floor(limits.log_age / 3_600_000)} h) is shorter than webhooks are tried (${LONGEST_WAIT_MS / 3_600_000} h): what waits for one that is down may be gone before`
        ]
      : [],

  ({ bots }) =>
    repeats(bots.map(({ nickname }, index) => ({ name: nickname, path: formatPath(['bots', index, 'nickname']) }))).map(
      ({ first, path, name }) =>
        `${path} is that of ${first.replace('.nickname', '')} too: people see two bots called "${name}"`
    ),

  // A legacy server has one connection for each name, and closes the older.
  ({ bots }) =>
    repeats(
      bots.flatMap(({ maim }, bot) =>
        maim.flatMap(({ mode, platform, url }, place) =>
          mode === 'legacy'
            ? [
                {
                  name: `${platform} ${URL.parse(url)?.href}`,
                  path: formatPath(['bots', bot, 'maim', place, 'platform'])
                }
              ]
            : []
        )
      )
    ).map(
      ({ first, path }) =>
        `${path} and its url are those of ${first.replace('.platform', '')} too: the server keeps one connection for each name, so the two would push each other out; give each bot its own platform`
    ),

  ({ im }) =>
    im.jwks_url !== null && (im.jwks_issuer === null || im.jwks_audience === null)
      ? [
          `im.${im.jwks_audience === null ? 'jwks_audience' : 'jwks_issuer'} is not set: tokens that im.jwks_url signs for other programs let in here too`
        ]
      : []
]

/** What is no mistake, and hardly meant: sentences that begin with the key, without any secret. */
export function findWarnings(config: Config): string[] {
  return RULES.flatMap((rule) => rule(config))
}

interface Named {
  readonly name: string
  readonly path: string
}

/** Everything whose name was there before, with the path of the first that has it. */
function repeats(all: readonly Named[]): (Named & { readonly first: string })[] {
  return all.flatMap((one, index) => {
    const first = all.findIndex(({ name }) => name === one.name)
    return first < index ? [{ ...one, first: all[first]?.path ?? '' }] : []
  })
}
