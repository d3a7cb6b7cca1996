/** The pattern of LIKE for text that holds these words; what they say of wildcards is meant literally (`escape '\\'`). */
export function toHolding(words: string): string {
  return `%${escape(words)}%`
}

/** For text that begins with them. */
export function toBeginning(words: string): string {
  return `${escape(words)}%`
}

function escape(words: string): string {
  return words.replace(/[\\%_]/g, '\\$&')
}
