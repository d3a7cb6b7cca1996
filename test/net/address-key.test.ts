import t from 'tap'
import { toAddressKey } from '../../src/net/address-key.ts'

const rows: [address: string, key: string][] = [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:c000:201', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['not an address', 'not an address']
]

t.test('an IPv6 address is counted with those beside it, an IPv4 address by itself', async (t) => {
  for (const [address, key] of rows) t.equal(toAddressKey(address), key, address)
})
