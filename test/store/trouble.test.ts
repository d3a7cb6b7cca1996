import t from 'tap'
import { createLogger, tellTrouble } from '../../src/log.ts'

t.test('trouble with the database is told once, and once when it is over', async (t) => {
  const lines: string[] = []
  let now = 0
  const tell = tellTrouble(
    createLogger('info', (line) => lines.push(line)),
    () => now
  )
  const told = (): string[] => lines.splice(0).map((line) => (JSON.parse(line) as { reason?: string }).reason ?? 'well')

  tell('the disk is full')
  tell(undefined)
  t.strictSame(told(), ['the disk is full', 'well'])
  for (let count = 0; count < 1000; count++) {
    tell('the disk is full')
    tell(undefined)
  }
  t.strictSame(told(), [], 'a disk that is nearly full is no news all the time')
  tell('another program has locked it')
  t.strictSame(told(), ['another program has locked it'], 'something else is')
  now += 60_000
  tell('another program has locked it')
  tell(undefined)
  tell(undefined)
  t.strictSame(told(), ['another program has locked it', 'well'], 'and so it is after a minute')
})
