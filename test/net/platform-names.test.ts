import t from 'tap'
import { createPlatformNames } from '../../src/net/platform-names.ts'

t.test('an account may have so many names, and keeps those that it has', async (t) => {
  const { admit } = createPlatformNames(2)
  t.strictSame(
    ['a', 'b', 'c', 'a', 'b'].map((name) => admit(10001, name)),
    [true, true, false, true, true]
  )
  t.equal(admit(10002, 'c'), true, 'each account for itself')
})
