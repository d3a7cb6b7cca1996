/** Where a value was written, for error messages; paths in it are relative to `baseDir`. */
export interface Origin {
  source: string
  line?: number
  baseDir: string
}

export type Path = readonly (string | number)[]

/** What somebody wrote, with the place of every piece of it. Maps, not objects: `__proto__` is a name like any other. */
export type Given = GivenScalar | GivenList | GivenMapping

export interface GivenScalar {
  kind: 'scalar'
  value: string | number | boolean | null
  origin: Origin
}

export interface GivenList {
  kind: 'list'
  items: Given[]
  origin: Origin
}

export interface GivenMapping {
  kind: 'mapping'
  entries: Map<string, Given>
  origin: Origin
}

export const isAbsent = (given: Given | undefined): given is undefined =>
  given === undefined || (given.kind === 'scalar' && given.value === null)

/** The place of a path, or of the nearest thing around it when the path itself was not written. */
export function originOf(tree: Given, path: Path): Origin {
  const [step, ...rest] = path
  const next = step === undefined ? undefined : childOf(tree, step)
  return next ? originOf(next, rest) : tree.origin
}

function childOf(given: Given, step: string | number): Given | undefined {
  if (given.kind === 'list') return typeof step === 'number' ? given.items[step] : undefined
  if (given.kind === 'mapping') return given.entries.get(String(step)) ?? given.entries.get(`${step}_file`)
  return undefined
}

/**
 * Puts a value of a stronger source over what is there and makes lists and mappings on the way.
 * Answers false when a list entry would leave a gap. Does nothing where a weaker source wrote something of the wrong
 * kind on the way: that is a mistake of its own and will be reported where it stands.
 */
export function placeGiven(tree: GivenMapping, path: Path, given: Given): boolean {
  let here: Given = tree
  for (const [index, step] of path.entries()) {
    if (here.kind === 'scalar') return true
    if (here.kind === 'list' && Number(step) > here.items.length) return false
    if (index === path.length - 1) setChild(here, step, given)
    else {
      const next: Given = existingChild(here, step) ?? emptyFor(path[index + 1], given.origin)
      setChild(here, step, next)
      here = next
    }
  }
  return true
}

function existingChild(here: GivenList | GivenMapping, step: string | number): Given | undefined {
  const child = here.kind === 'list' ? here.items[Number(step)] : here.entries.get(String(step))
  return isAbsent(child) ? undefined : child
}

function setChild(here: GivenList | GivenMapping, step: string | number, given: Given): void {
  if (here.kind === 'mapping') here.entries.set(String(step), given)
  else if (typeof step === 'number') here.items[step] = given
}

function emptyFor(nextStep: string | number | undefined, origin: Origin): GivenList | GivenMapping {
  return typeof nextStep === 'number'
    ? { kind: 'list', items: [], origin }
    : { kind: 'mapping', entries: new Map(), origin }
}

/** Forgets a key of a mapping, where the path leads to one. */
export function dropGiven(tree: Given, path: Path): void {
  const [step, ...rest] = path
  if (step === undefined || tree.kind === 'scalar') return
  if (rest.length === 0 && tree.kind === 'mapping') tree.entries.delete(String(step))
  const next = existingChild(tree, step)
  if (next) dropGiven(next, rest)
}
