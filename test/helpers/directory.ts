import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'

/**
 * A new directory, with this configuration in its lactea.yaml, gone after what was started in it has ended.
 * `t.testdir()` is removed before the other teardowns run, under the feet of a gateway that still works in it.
 */
export function makeDirectory(t: Test, config?: object): string {
  const dir = mkdtempSync(join(tmpdir(), 'lactea-test-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  if (config) writeFileSync(join(dir, 'lactea.yaml'), stringify(config))
  return dir
}
