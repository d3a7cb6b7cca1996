import { lockDirectory } from '../../../src/store/index.ts'

// Holds the lock of a directory until it is killed.
lockDirectory(process.argv[2] ?? '')
process.stdout.write('locked\n')
process.stdin.resume()
