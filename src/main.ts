#!/usr/bin/env node
import { openCache } from './cache.ts'

// Whatever this process creates, above all the database with its digests, is for its owner alone.
process.umask(0o077)
openCache()
// Now, so that it comes out of the cache.
const { runProgram } = await import('./cli/program.ts')
await runProgram()
