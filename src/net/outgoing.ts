import { isIP, type LookupFunction } from 'node:net'
import type { LookupAddress } from 'node:dns'
import { createGuard, type Guard, type Resolve } from './guard.ts'

export interface OutgoingOptions {
  /** Whether addresses of the configuration are held to what is public, and to these networks. */
  readonly guard: boolean
  readonly allowedNetworks: readonly string[]
  /** Whether the gateway runs in a container, where 127.0.0.1 is the container and not the machine. */
  readonly isContainer: boolean
  /** That of the machine when absent. */
  readonly resolve?: Resolve
}

/** Where the gateway may dial what its configuration names: webhooks, reverse WebSockets, links and keys of issuers. */
export interface Outgoing {
  /**
   * What `net.connect` looks names up with on the way to this address: each is looked up anew for each connection, every
   * address that it has is checked, and only checked ones are dialled. Rejects with a sentence for people when the address
   * itself is closed, since `net.connect` looks up nothing then. Warns of an address that is surely a mistake.
   */
  readonly lookupFor: (url: string, warn: (words: string) => void) => Promise<LookupFunction>
}

/** Without the guard everything is open, but what tells machines who they are: no receiver of events lives there. */
const EVERYWHERE = ['0.0.0.0/0', '::/0']

export function createOutgoing({ guard: isGuarded, allowedNetworks, isContainer, resolve }: OutgoingOptions): Outgoing {
  const guard = createGuard({ allowedNetworks: isGuarded ? allowedNetworks : EVERYWHERE, ...(resolve && { resolve }) })

  return {
    async lookupFor(url, warn) {
      const doubt = doubtAbout(url, isContainer)
      if (doubt !== undefined) warn(doubt)
      const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
      if (isIP(host) !== 0 && (await guard(host)).length === 0) throw new Error(describeClosed(host, isGuarded))
      return lookupThrough(guard, isGuarded)
    }
  }
}

function lookupThrough(guard: Guard, isGuarded: boolean): LookupFunction {
  return (host, { all, family }, callback) => {
    const answer = (found: readonly LookupAddress[]): void => {
      const wanted = found.filter((address) => !family || address.family === Number(String(family).replace('IPv', '')))
      const [first] = wanted
      if (!first) callback(Object.assign(new Error(describeClosed(host, isGuarded)), { code: 'ECLOSED' }), '')
      else if (all) callback(null, [...wanted])
      else callback(null, first.address, first.family)
    }
    guard(host).then(answer, (err: NodeJS.ErrnoException) => callback(err, ''))
  }
}

/** The configuration is the operator's own: unlike to bots, it is said what is wrong. */
function describeClosed(host: string, isGuarded: boolean): string {
  if (!isGuarded) return `${host} has no address, or one that hands out the keys of machines and is never dialled`
  return `${host} has no address that is public or in a network of outgoing.allowed_networks, and outgoing.guard is on`
}

/** What is surely wrong with an address that the gateway is to dial, in words; undefined when it looks right. */
export function doubtAbout(url: string, isContainer: boolean): string | undefined {
  const { hostname } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  if (['0.0.0.0', '::', '::ffff:0:0'].includes(host))
    return `${hostname} is an address to listen on, not one to dial: name the machine, or 127.0.0.1 for this one`
  const isHere =
    (isIP(host) === 4 && host.startsWith('127.')) || ['::1', 'localhost'].includes(host) || host.endsWith('.localhost')
  if (isContainer && isHere)
    return `${hostname} is this container itself: name the service, such as http://bot:8080, or host.docker.internal for the machine around it`
  return undefined
}
