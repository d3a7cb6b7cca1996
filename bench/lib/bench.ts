/** What one measurement gave, by name. */
export type Figures = Readonly<Record<string, number>>

/** What a figure should be, in words and as a number: `ratio` is service ÷ bare, `naiveRatio` service ÷ naive, any other figure is the service's own. */
export interface Goal {
  readonly figure: string
  readonly atLeast?: number
  readonly atMost?: number
  /** The worst round counts instead of the median. */
  readonly inEveryRound?: boolean
  readonly says: string
  /** Why it is missed where it is. */
  readonly inTheWay?: string
}

export interface Subjects {
  readonly service: (seconds: number) => Promise<Figures>
  /** The same load on the least that could answer it. */
  readonly bare?: (seconds: number) => Promise<Figures>
  /** The same on a program that does it as it is usually done. */
  readonly naive?: (seconds: number) => Promise<Figures>
  readonly close: () => Promise<void>
}

export interface Bench {
  readonly name: string
  /** What is measured, in a few words. */
  readonly what: string
  /** The figure that is compared with the bare limit, or is the result when there is none. */
  readonly figure: string
  /** Further figures that the table shows, beside those of every bench. */
  readonly more?: readonly string[]
  readonly goals: readonly Goal[]
  /** Each measurement starts from nothing, so there is nothing to warm up. */
  readonly isCold?: boolean
  readonly prepare: () => Promise<Subjects>
}
