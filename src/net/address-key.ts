import { isIPv6 } from 'node:net'

/**
 * Whom an address is counted for. Whoever has an IPv6 address has the 2^64 beside it too (RFC 6177), so the first half of
 * it is what counts; an IPv4 address is itself, also as IPv6 writes it.
 */
export function toAddressKey(address: string): string {
  const [bare = ''] = address.split('%', 1)
  if (!isIPv6(bare)) return address
  // Every spelling of the same address becomes one: lower case, the longest zeros left out, no dots.
  const text = new URL(`http://[${bare}]/`).hostname.slice(1, -1)
  const [head = '', tail] = text.split('::')
  const [first, last] = [head, tail ?? ''].map((part) => (part === '' ? [] : part.split(':')))
  const zeros = Array<string>(Math.max(0, 8 - (first?.length ?? 0) - (last?.length ?? 0))).fill('0')
  const groups = [...(first ?? []), ...zeros, ...(last ?? [])]
  const isMapped = groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff'
  if (!isMapped) return `${groups.slice(0, 4).join(':')}::/64`
  return groups
    .slice(6)
    .flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255])
    .join('.')
}
