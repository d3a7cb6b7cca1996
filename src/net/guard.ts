import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** All addresses of a name; rejects when it has none. */
export type Resolve = (name: string) => Promise<readonly LookupAddress[]>

export interface GuardOptions {
  /** Networks that are open although they are nobody's public ones, such as `172.18.0.0/16`. */
  readonly allowedNetworks: readonly string[]
  /** That of the machine when absent. */
  readonly resolve?: Resolve
}

/**
 * Says where one may connect to for this host of a parsed URL (WHATWG: numbers in odd spellings are addresses by then).
 * Only these addresses may then be dialled: a name that is looked up again may mean something else. Empty when the host is
 * closed, and also when there is none of this name, so that nobody learns which names exist in here. Rejects when names
 * cannot be looked up now.
 */
export type Guard = (host: string) => Promise<readonly LookupAddress[]>

type Address = ipaddr.IPv4 | ipaddr.IPv6
type Network = [Address, number]

/**
 * What tells machines who they are and hands out their keys. Nobody fetches pictures there, so it stays closed even in a
 * network that is open.
 */
const METADATA: readonly Network[] = [
  '169.254.169.254/32',
  // Containers and pods of AWS, Scaleway, Tencent, Alibaba, Oracle, Azure.
  '169.254.170.2/32',
  '169.254.170.23/32',
  '169.254.42.42/32',
  '169.254.0.23/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
  '168.63.129.16/32',
  // The same of AWS, Google and Scaleway in IPv6.
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  'fd00:42::42/128'
].map((text) => parseNetwork(text))

const METADATA_NAMES = new Set([
  'metadata',
  'metadata.goog',
  'metadata.google.internal',
  'metadata.tencentyun.com',
  'instance-data',
  'instance-data.ec2.internal'
])

/** Of IPv6 only this is given out to networks that everybody reaches (RFC 4291); it leaves most special ranges out. */
const GLOBAL: Network = parseNetwork('2000::/3')

/** Forms of IPv6 that hold an IPv4 address, and where in their sixteen bytes. */
const CARRIERS: readonly { readonly network: Network; readonly at: number }[] = [
  { network: parseNetwork('::/96'), at: 12 },
  { network: parseNetwork('::ffff:0:0/96'), at: 12 },
  { network: parseNetwork('::ffff:0:0:0/96'), at: 12 },
  { network: parseNetwork('64:ff9b::/96'), at: 12 },
  { network: parseNetwork('64:ff9b:1::/48'), at: 12 },
  { network: parseNetwork('2002::/16'), at: 2 }
]

/** Keeps what others name from reaching what only this machine reaches (server-side request forgery). */
export function createGuard({ allowedNetworks, resolve = resolveHere }: GuardOptions): Guard {
  const allowed = allowedNetworks.map((text) => parseNetwork(text))

  function isOpen({ address: text }: LookupAddress): boolean {
    const address = parseAddress(text)
    if (!address || isMetadata(address)) return false
    return isPublic(address) || allowed.some((network) => isIn(address, network))
  }

  return async (given) => {
    const host = given.replace(/^\[(.*)\]$/, '$1')
    if (host === '') return []
    const literal = parseAddress(host)
    if (literal) return [{ address: host, family: literal.kind() === 'ipv4' ? 4 : 6 }].filter(isOpen)
    const name = host.toLowerCase().replace(/\.+$/, '')
    if (name === '' || METADATA_NAMES.has(name)) return []
    // These names mean this machine, whatever a name server says (RFC 6761).
    if (name === 'localhost' || name.endsWith('.localhost')) return LOOPBACK.filter(isOpen)
    return (await resolve(host)).filter(isOpen)
  }
}

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 }
]

/** Hands these addresses to whoever asks for one of a name, in the form that `net.connect` wants. */
export function lookupIn(addresses: readonly LookupAddress[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses
    if (all) callback(null, [...addresses])
    else if (first) callback(null, first.address, first.family)
    else callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '')
  }
}

async function resolveHere(name: string): Promise<LookupAddress[]> {
  try {
    return await lookup(name, { all: true })
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'EAI_AGAIN') throw err
    return []
  }
}

/** Undefined for what is no address, and for one of a certain interface (`fe80::1%eth0`), which is never public. */
function parseAddress(text: string): Address | undefined {
  if (text.includes('%')) return undefined
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  return text.includes(':') && ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined
}

function parseNetwork(text: string): Network {
  const address = ipaddr.parse(text.split('/', 1)[0] ?? '')
  const bits = /\/(\d+)$/.exec(text)?.[1] ?? (address.kind() === 'ipv4' ? 32 : 128)
  return [address, Number(bits)]
}

function isIn(address: Address, [network, bits]: Network): boolean {
  return address.kind() === network.kind() && address.match(network, bits)
}

function isPublic(address: Address): boolean {
  return address.range() === 'unicast' && (address.kind() === 'ipv4' || isIn(address, GLOBAL))
}

function isMetadata(address: Address): boolean {
  const carrier = CARRIERS.find(({ network }) => isIn(address, network))
  const carried = carrier && new ipaddr.IPv4(address.toByteArray().slice(carrier.at, carrier.at + 4))
  return [address, carried].some((one) => one && METADATA.some((network) => isIn(one, network)))
}
