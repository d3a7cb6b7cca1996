import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether only this machine can reach a server that listens on `host`. A name other than localhost counts as public. */
export function isLoopback(host: string): boolean {
  const bare = bareHost(host)
  if (bare === 'localhost') return true
  const family = isIP(bare)
  return family !== 0 && loopback.check(bare, family === 4 ? 'ipv4' : 'ipv6')
}

/** Whether the host is the "listen everywhere" address, which nobody can dial in a portable way. */
export function isUnspecified(host: string): boolean {
  return ['0.0.0.0', '::', '::ffff:0:0', '::ffff:0.0.0.0'].includes(bareHost(host))
}

interface Listening {
  readonly host: string
  readonly port: number
  /** Absent or null when it speaks no TLS. */
  readonly tls?: object | null
}

/** Where a server can be reached that listens like this. */
export function toOrigin({ host, port, tls }: Listening): string {
  const name = isUnspecified(host) ? 'localhost' : bareHost(host)
  return `${tls ? 'https' : 'http'}://${name.includes(':') ? `[${name}]` : name}:${port}`
}

function bareHost(host: string): string {
  return host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
}
