import t from 'tap'
import { createStandstillCheck } from '../../src/net/standstill.ts'

t.test('after a standstill there is relief for a second', async (t) => {
  let now = 0
  const isGoing = createStandstillCheck(() => now)
  const after = (ms: number): Promise<boolean> => {
    now += ms
    return isGoing()
  }
  t.equal(await after(5000), true, 'the first looks come while everything is being loaded')
  t.equal(await after(5000), true)
  t.equal(await after(100), true)
  t.equal(await after(1700), true, 'much to do')
  t.equal(await after(2000), false)
  t.equal(await after(900), false)
  t.equal(await after(100), true)
  t.equal(await after(100), true)
})
