import { readFileSync } from 'node:fs'

/** The version of the package; `unknown` where it cannot be read. */
export function readVersion(): string {
  // In a checkout the file is one folder up, in the built package two.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }).version
    } catch {
      continue
    }
  }
  return 'unknown'
}
