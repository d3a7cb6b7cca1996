#!/usr/bin/env node
import { openCache } from './cache.js'

// Plain JavaScript up to here: for TypeScript that is not in the cache Node would load a compiler at each start.

// Whatever this process creates, above all the database with its digests, is for its owner alone.
process.umask(0o077)
openCache()
// Now, so that it comes out of the cache.
const { runProgram } = await import('./cli/program.ts')
await runProgram()
