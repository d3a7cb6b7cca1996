export type Cell = string | number

/** Columns as wide as they have to be; the words for nothing when there are no rows. */
export function toTable(rows: readonly (readonly Cell[])[], empty: string): string {
  if (rows.length === 0) return empty
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => String(cell).padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

/** A time as people read it, in UTC; Unix seconds. */
export function toTime(time: number): string {
  return new Date(time * 1000).toISOString().slice(0, 19).replace('T', ' ')
}
