import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A file system of its own in memory, so large and no larger; unmounted when the test ends. */
export function mountDisk(t: Test, path: string, mebibytes: number): void {
  mkdirSync(path, { recursive: true })
  mount(path, mebibytes)
  // Lazily: somebody may still look into it.
  t.teardown(() => execFileSync('umount', ['--lazy', path]))
}

/** Why no file system can be mounted here; false when it can. */
export function whyNoDisk(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounting a file system needs root on Linux'
  const path = mkdtempSync(join(tmpdir(), 'lactea-mount-'))
  try {
    mount(path, 1)
    execFileSync('umount', [path])
    return false
  } catch {
    return 'this machine lets nobody mount a file system'
  } finally {
    rmdirSync(path)
  }
}

function mount(path: string, mebibytes: number): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'lactea-test', path], { stdio: 'ignore' })
}
