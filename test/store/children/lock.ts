import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { lockDirectory } from '../../../src/store/index.ts'

// Holds the lock of a directory until it is killed, also when nobody keeps the release and the garbage is collected.
lockDirectory(process.argv[2] ?? '')
setFlagsFromString('--expose-gc')
runInNewContext('gc')()
setImmediate(() => process.stdout.write('locked\n'))
process.stdin.resume()
