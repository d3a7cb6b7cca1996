import { enableCompileCache, findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * Code that was compiled once starts the next time in less than half the time, whoever starts it. It lies beside the code: who can
 * change it there could as well change the code. Installing fills it (`src/cli/prepare.ts`); where it cannot be made,
 * everything is compiled at each start.
 */
export function openCache() {
  const root = findPackageJSON(import.meta.url)
  if (root !== undefined) enableCompileCache(join(dirname(root), 'node_modules', '.cache', 'lactea'))
}
