/**
 * Things that wait for a short while, in the order in which they came; they mostly go in that order too. An array, not a
 * `Map`: when entries come and go all the time, V8 makes new tables for a map all the time, each dead one leads to the next,
 * and whatever stood in them outlives every quick garbage collection. It is meant for some hundreds at most times.
 */
export class Waiting<T extends { readonly msgId: string }> {
  #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  get first(): T | undefined {
    return this.#items[0]
  }

  /** `msgId` is not there yet. */
  add(item: T): void {
    this.#items.push(item)
  }

  get(msgId: string): T | undefined {
    for (const item of this.#items) if (item.msgId === msgId) return item
    return undefined
  }

  /** Gives whether it was there. */
  delete(item: T): boolean {
    const index = this.#items[0] === item ? 0 : this.#items.indexOf(item)
    if (index === -1) return false
    if (index === 0) this.#items.shift()
    else this.#items.splice(index, 1)
    return true
  }

  clear(): void {
    this.#items = []
  }

  /** Those that are there now: they may go, and others come, while they are looked at. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.#items][Symbol.iterator]()
  }
}
