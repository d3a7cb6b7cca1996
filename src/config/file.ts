import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLError
} from 'yaml'
import type { Given, GivenMapping, GivenScalar, Origin } from './given.ts'
import type { Report } from './mistakes.ts'

// An alias can repeat a list of aliases: a file of 30 lines may unfold into more entries than there is memory for.
const MAX_PIECES = 100_000
const MAX_DEPTH = 50

/**
 * Reads a YAML file and keeps the line of every piece. Mistakes of syntax are reported with their line; undefined then
 * says that the rest of the file cannot be judged. Duplicate keys are reported, and the file is read on.
 * @param path absolute path of the file
 * @param source its name in messages
 */
export function readConfigFile(path: string, source: string, report: Report): GivenMapping | undefined {
  const lines = new LineCounter()
  const text = readFileSync(path, 'utf8')
  const baseDir = dirname(path)
  // prettyErrors would quote the line, and with it the password that stands in it
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const originAt = (offset: number | undefined): Origin => ({
    source,
    baseDir,
    ...(offset !== undefined && { line: lines.linePos(offset).line })
  })

  const faults = [...document.errors, ...document.warnings]
  for (const fault of faults) report([], describeFault(fault, text), originAt(fault.pos[0]))
  if (faults.some((fault) => fault.code !== 'DUPLICATE_KEY')) return undefined
  return toTree({ document, text, originAt, report })
}

interface Source {
  document: Document
  text: string
  originAt: (offset: number | undefined) => Origin
  report: Report
}

function toTree(source: Source): GivenMapping | undefined {
  const { document, originAt, report } = source
  const origin = originAt(undefined)
  if (document.contents === null) return { kind: 'mapping', entries: new Map(), origin }
  try {
    const given = createConverter(source)(document.contents, undefined)
    if (given.kind === 'mapping') return { ...given, origin }
    if (given.kind === 'scalar' && given.value === null) return { kind: 'mapping', entries: new Map(), origin }
    report([], 'the file must be a mapping with keys such as "server" and "bots"', given.origin)
  } catch (error) {
    if (!(error instanceof UnreadableNode)) throw error
    report([], error.message, error.origin)
  }
  return undefined
}

class UnreadableNode extends Error {
  readonly origin: Origin

  constructor(message: string, origin: Origin) {
    super(message)
    this.origin = origin
  }
}

function createConverter({ document, text, originAt, report }: Source) {
  let pieces = 0
  let depth = 0

  /** A value stands where its key stands: `key:` on one line and the value on the next is one thing to the reader. */
  function convert(node: unknown, keyOrigin: Origin | undefined): Given {
    const origin = keyOrigin ?? originAt((node as Node | null)?.range?.[0])
    pieces++
    if (pieces > MAX_PIECES || depth > MAX_DEPTH) throw new UnreadableNode('the file unfolds into too much', origin)
    depth++
    const given = convertNode(node, origin)
    depth--
    return given
  }

  function convertNode(node: unknown, origin: Origin): Given {
    if (isAlias(node)) return convert(resolveAlias(node.resolve(document), origin), origin)
    if (isMap(node)) return { kind: 'mapping', entries: new Map(node.items.flatMap(convertPair)), origin }
    if (isSeq(node)) return { kind: 'list', items: node.items.map((item) => convert(item, undefined)), origin }
    return { kind: 'scalar', value: isScalar(node) ? toPlain(node) : null, origin }
  }

  function convertPair({ key, value }: Pair): [string, Given][] {
    const range = (key as Node | null)?.range
    const keyOrigin = originAt(range?.[0])
    if (!isScalar(key)) throw new UnreadableNode('a key must be a plain name', keyOrigin)
    const name = String(key.value)
    if (/^\s*:/.test(text.slice(range?.[1]))) return [[name, convert(value, keyOrigin)]]
    report([], describeLoneKey(name), keyOrigin)
    return []
  }

  return convert
}

function resolveAlias(target: Node | undefined, origin: Origin): Node {
  if (!target)
    throw new UnreadableNode(
      'an alias (*name) has no anchor (&name) before it; put a value that starts with * in quotes',
      origin
    )
  return target
}

function toPlain({ value, source }: Scalar): GivenScalar['value'] {
  const isPlain = value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  // YAML 1.1 knows dates and large numbers; to us they are text
  return isPlain ? value : (source ?? '')
}

/** In `{ id: 10001, access_token:abc }` the last piece is a key without a value to YAML, and a secret to its owner. */
function describeLoneKey(name: string): string {
  const [, word] = /^([\w-]+):/.exec(name) ?? []
  if (word) return `a space is missing after the colon of ${word}`
  return 'something inside of { } has no value; write it as "key: value", with a space after the colon'
}

// Our own sentences, because those of the library quote what they stumbled over, which may be half a password.
const sentences: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'an alias is not complete; put a value that starts with * in quotes',
  BAD_DQ_ESCAPE: 'a text in double quotes has an unknown escape; write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'the indentation does not fit the lines above; look for an open bracket or quote, too',
  BAD_SCALAR_START: 'a value starts with a reserved character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a mapping or list starts on the line of another one; put a value that contains ": " in quotes',
  BLOCK_IN_FLOW: 'a block is not possible inside of [ ] or { }',
  MISSING_CHAR: 'a character is missing; look for an open quote, bracket or a missing colon',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines; look for a missing colon or an open quote',
  MULTIPLE_DOCS: 'the file has several documents; remove the "---" between them',
  TAB_AS_INDENT: 'a tab is used as indentation; use spaces',
  TAG_RESOLVE_FAILED: 'a tag is not known; put a value that starts with ! in quotes'
}

function describeFault(fault: YAMLError, text: string): string {
  if (fault.code === 'DUPLICATE_KEY') return `${keyAt(text, fault.pos[0])} is given twice in the same place; keep one`
  return `this is not valid YAML: ${sentences[fault.code] ?? 'something here is not expected; look for a missing quote, bracket or colon'}`
}

function keyAt(text: string, offset: number): string {
  return /^["']?([\w-]+)/.exec(text.slice(offset))?.[1] ?? 'a key'
}
