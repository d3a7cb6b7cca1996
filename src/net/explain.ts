/** Something that the gateway dials, as far as advice depends on it. */
export interface DialledAddress {
  readonly kind: 'webhook' | 'reverse' | 'legacy' | 'api-server'
  readonly url: string
}

/** What the operator can do about a failure; undefined when there is nothing to say about this address. */
type Advice = (to: DialledAddress) => string | undefined

const KEY_OF = { webhook: 'access_token', reverse: 'access_token', legacy: 'token', 'api-server': 'api_key' } as const

const isBrain = ({ kind }: DialledAddress): boolean => kind === 'legacy' || kind === 'api-server'
const pathOf = ({ url }: DialledAddress): string => new URL(url).pathname
const hostOf = ({ url }: DialledAddress): string => new URL(url).host
const isHere = ({ url }: DialledAddress): boolean => /^(?:127\.|localhost$|\[::1\]$)/.test(new URL(url).hostname)

/** Where others listen who were meant, perhaps, and what is to be done with each of them. */
const PRESETS: readonly { readonly path: RegExp; readonly words: string }[] = [
  {
    path: /\/onebot\/v(?:11|12)(?:\/|$)/i,
    words:
      'that is where NoneBot takes OneBot, which is not spoken here: its Milky adapter dials the gateway (docs/milky.md, "NoneBot"), or takes webhooks at /milky/'
  },
  {
    path: /^\/onebot\/?$/i,
    words:
      'that is where Koishi takes OneBot, which is not spoken here: its Milky adapter dials the gateway (docs/milky.md, "Koishi")'
  },
  {
    path: /^\/(?:api\/)?astrbot/i,
    words: 'AstrBot has no Milky adapter of its own: it needs one that dials the gateway'
  }
]

function adviseOnPath(to: DialledAddress): string {
  const preset = PRESETS.find(({ path }) => path.test(pathOf(to)))
  if (preset) return preset.words
  if (isBrain(to))
    return pathOf(to).endsWith('/ws')
      ? 'no maim_message server answers at this path'
      : 'is the path right? maim_message servers listen at /ws'
  if (to.kind === 'webhook')
    return `nothing takes events at ${pathOf(to)}: look up the path in the program, such as /milky/ of NoneBot or /milky/api/v1/webhook of Karin`
  return `no WebSocket is served at ${pathOf(to)}: look up the path in the program`
}

const RULES: readonly (readonly [RegExp, Advice])[] = [
  [/outgoing\.guard is on/, () => 'name its network in outgoing.allowed_networks, or switch outgoing.guard off'],
  [
    /ENOTFOUND|EAI_NONAME|ECLOSED/,
    (to) =>
      `there is no machine of the name ${new URL(to.url).hostname}: look for a slip; between containers it is the name of the service`
  ],
  [/EAI_AGAIN/, () => 'names cannot be looked up now: look at the DNS of this machine or container'],
  [
    /ECONNREFUSED/,
    (to) =>
      isHere(to)
        ? `nothing listens at ${hostOf(to)}: start the program, or correct the port; when one of the two runs in a container, 127.0.0.1 is not the same machine for both`
        : `nothing listens at ${hostOf(to)}: start the program, or correct the port; it may listen on 127.0.0.1 of its own machine or container alone, and has to on 0.0.0.0`
  ],
  [
    /EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL/,
    (to) => `no way leads to ${hostOf(to)}: look at the network and the address`
  ],
  [
    /wrong version number|packet length too long|ssl3_get_record|EPROTO|record layer failure/i,
    (to) => `the other side speaks no TLS: write ${to.kind === 'webhook' ? 'http://' : 'ws://'}`
  ],
  [
    /Parse Error|HPE_|HTTPParserError|socket hang up|other side closed|ECONNRESET/,
    (to) =>
      /^(?:http|ws):/i.test(to.url)
        ? `the other side does not answer in HTTP: perhaps it speaks TLS, then write ${to.kind === 'webhook' ? 'https://' : 'wss://'}, or another program has this port`
        : 'the other side ended the connection: another program may have this port, or it wants a certificate of ours'
  ],
  [/certificate has expired|CERT_HAS_EXPIRED/, () => 'its certificate has expired: renew it over there'],
  [/not yet valid/, () => 'its certificate is good only later: look at the clocks of both machines'],
  [
    /altnames|ERR_TLS_CERT_ALTNAME_INVALID/,
    (to) =>
      isBrain(to)
        ? 'its certificate is for another name: dial it by that, or set tls.check_host: false'
        : 'its certificate is for another name: dial it by that name'
  ],
  [
    /self.signed certificate|unable to (?:verify|get)|DEPTH_ZERO|UNABLE_TO/,
    (to) =>
      isBrain(to)
        ? 'nobody here vouches for its certificate: name its authority in tls.ca'
        : 'nobody here vouches for its certificate: start the gateway with NODE_EXTRA_CA_CERTS=<file of its authority>'
  ],
  [
    /certificate required|bad certificate|handshake failure/i,
    () => 'it wants a certificate of ours: name one in tls.cert and tls.key'
  ],
  [
    /timed out|took more than|ETIMEDOUT|ConnectTimeout/i,
    (to) => `${hostOf(to)} does not answer: a firewall may swallow it, or the program hangs`
  ],
  [/\b(?:401|1008)\b|Authentication failed/, (to) => `the other side does not know the ${KEY_OF[to.kind]}`],
  [
    /\b403\b/,
    (to) =>
      isBrain(to) ? adviseOnPath(to) : `the other side lets nobody in with this ${KEY_OF[to.kind]}, or not at this path`
  ],
  [/\b404\b/, adviseOnPath],
  [
    /\b405\b/,
    (to) =>
      to.kind === 'webhook'
        ? `${pathOf(to)} takes no POST: it is no receiver of webhooks`
        : `${pathOf(to)} is no WebSocket: perhaps it is a webhook, then it stands under webhooks with http://`
  ],
  [
    /\b426\b/,
    (to) =>
      to.kind === 'webhook'
        ? 'a WebSocket is served there: put it under reverse_ws with ws://'
        : 'another version of WebSocket is wanted there: a proxy between may be too old'
  ],
  [
    /\b(?:301|302|303|307|308)\b/,
    () =>
      'it points elsewhere, and that is never followed: write the address itself, often with https and with or without the / at its end'
  ],
  [
    /\b200\b/,
    (to) =>
      to.kind === 'webhook'
        ? undefined
        : `a web page answers at ${pathOf(to)}, and no WebSocket: correct the path or the port`
  ],
  [
    /\b400\b/,
    (to) =>
      to.kind === 'webhook'
        ? undefined
        : 'the other side does not understand the handshake: another protocol may be spoken there'
  ],
  [/\b(?:502|503|504)\b/, () => 'a proxy answers, and the program behind it does not: start that'],
  [/\b429\b/, () => 'it has been asked too often: wait']
]

/** A failure in words, and after it what the operator can do, where the failure says it. */
export function explainFailure(why: string, to: DialledAddress): string {
  for (const [pattern, advise] of RULES) {
    if (!pattern.test(why)) continue
    const advice = advise(to)
    return advice === undefined ? why : `${why}: ${advice}`
  }
  return why
}
