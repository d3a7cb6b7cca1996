/** The candidate a reader most likely meant, or undefined when none is close. `accessToken` and `access-token` count as `access_token`. */
export function findNearest(word: string, candidates: string[]): string | undefined {
  const wanted = squash(word)
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: distance(wanted, squash(candidate)) }))
    .sort((one, other) => one.distance - other.distance)
  const best = ranked[0]
  // A third of the letters wrong is still a slip; five letters wrong are another word.
  const allowed = Math.min(4, Math.ceil(wanted.length / 3))
  return best && best.distance <= allowed ? best.candidate : undefined
}

function squash(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '')
}

/** Damerau–Levenshtein (optimal string alignment): `prot` is one step from `port`, as it is for the person who typed it. */
function distance(one: string, other: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const differs = one[row - 1] === other[column - 1] ? 0 : 1
      let best = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + differs)
      const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      if (swapped) best = Math.min(best, at(beforeLast, column - 2) + 1)
      current.push(best)
    }
    beforeLast = last
    last = current
  }
  return at(last, other.length)
}

const at = (row: number[], column: number): number => row[column] ?? Infinity
