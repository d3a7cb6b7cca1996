/** Names of platforms that one account may have. */
export const MAX_NAMES = 10_000

/** Under which names each account is known at a maim door: a name becomes a road and a place in the log, which are stored. */
export interface PlatformNames {
  /** Whether the account may use the name; from now on it has it. */
  readonly admit: (accountId: number, platform: string) => boolean
}

/** Counts since the process began: names that nobody uses any more are given up with what was kept for them. */
export function createPlatformNames(max = MAX_NAMES): PlatformNames {
  const known = new Map<number, Set<string>>()
  return {
    admit(accountId, platform) {
      const names = known.get(accountId) ?? new Set()
      if (names.has(platform)) return true
      if (names.size >= max) return false
      known.set(accountId, names.add(platform))
      return true
    }
  }
}
