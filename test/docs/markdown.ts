import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The checkout, with a slash at its end. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

export function readPage(path: string): string {
  return readFileSync(root + path, 'utf8')
}

/** The cells of the first table below a heading, row by row, without the head. */
export function tableBelow(page: string, heading: string): string[][] {
  const [, below] = `\n${page}`.split(`\n${heading}\n`)
  if (below === undefined) throw new Error(`there is no heading "${heading}"`)
  const [table] = /(?:^\|.*\|\n?)+/m.exec(below) ?? []
  if (table === undefined) throw new Error(`there is no table below "${heading}"`)
  const rows = table.trim().split('\n').slice(2)
  return rows.map((row) => row.slice(1, -1).split('|').map(plain))
}

/** Without the backticks around code. */
function plain(cell: string): string {
  return cell.trim().replaceAll('`', '')
}

/** First cells of the rows whose second cell says so, sorted. */
export function namesWith(state: string, rows: string[][]): string[] {
  return rows
    .filter((row) => row[1] === state)
    .map((row) => row[0] ?? '')
    .toSorted()
}

/** What stands between ``` fences, with the language of each. */
export function blocksOf(page: string): { language: string; text: string }[] {
  return [...page.matchAll(/^```(\S*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text }))
}

export function withoutBlocks(page: string): string {
  return page.replace(/^```.*?^```$/gms, '')
}

export interface Heading {
  readonly level: number
  /** As links name it. */
  readonly anchor: string
}

export function headingsOf(page: string): Heading[] {
  return [...withoutBlocks(page).matchAll(/^(#+) (.+)$/gm)].map(([, marks = '', title = '']) => ({
    level: marks.length,
    anchor: title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
  }))
}

/** Where the links of a page go, those to other sites aside. */
export function linksOf(page: string): string[] {
  const links = [...withoutBlocks(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
  return links.filter((target) => !/^[a-z]+:/.test(target))
}

/** Paths of this project that a page names as code, such as `src/core/` or `docs/milky.md`. */
export function pathsIn(page: string): string[] {
  const names = [...withoutBlocks(page).matchAll(/`([^`\s]+)`/g)].map(([, name = '']) => name)
  return names.filter(
    (name) => /^\.?[\w-]+(?:\/[\w.-]+)*(?:\/|\.(?:ts|md|json|yaml|db))$/.test(name) && name.includes('/')
  )
}
