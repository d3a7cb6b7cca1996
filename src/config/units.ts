const SIZES: Record<string, number> = {
  '': 1,
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3
}

const DURATIONS: Record<string, number> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

const units = { bytes: SIZES, ms: DURATIONS }

/** "32MiB" → 33554432, "10s" → 10000, "4096" → 4096. Undefined for anything else, and for parts of a byte. */
export function parseQuantity(text: string, unit: 'bytes' | 'ms'): number | undefined {
  const [, amount, suffix = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = units[unit][suffix.toLowerCase()]
  if (amount === undefined || factor === undefined) return undefined
  const value = Number(amount) * factor
  return Number.isSafeInteger(value) ? value : undefined
}

/** 33554432 → "32MiB", 10000 → "10s": the shortest way to write the number in a file. */
export function formatQuantity(value: number, unit: 'bytes' | 'ms'): string {
  const names = unit === 'bytes' ? ['GiB', 'MiB', 'KiB'] : ['h', 'm', 's']
  const name = names.find((candidate) => value % (units[unit][candidate.toLowerCase()] ?? 1) === 0)
  if (!name) return unit === 'bytes' ? String(value) : `${value}ms`
  return `${value / (units[unit][name.toLowerCase()] ?? 1)}${name}`
}
