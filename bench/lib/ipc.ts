import type { ChildProcess } from 'node:child_process'

/** What a child can be asked: a name and what it does. */
export type Answers = Record<string, (given: never) => unknown>

interface Question {
  readonly id: number
  readonly ask: string
  readonly given: unknown
}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

const table = new Map<string, Answers[string]>()
/** What was asked before the script that knows the answer was loaded. */
let early: Question[] = []

/** In the child: answers what the parent asks. Several tables in one process add up. */
export function answerParent(answers: Answers): void {
  if (table.size === 0) process.on('message', reply)
  for (const [name, answer] of Object.entries(answers)) table.set(name, answer)
  const again = early
  early = []
  for (const question of again) reply(question)
}

function reply(question: Question): void {
  const { id, ask, given } = question
  const answer = table.get(ask)
  if (!answer) return void early.push(question)
  // Within a promise, so that what is thrown at once is told as well.
  Promise.resolve(given as never)
    .then(answer)
    .then(
      (value) => process.send?.({ id, value }),
      (err: unknown) => process.send?.({ id, error: String((err as Error).stack ?? err) })
    )
}

/** In the parent: asks and waits. Rejects when the child fails or is gone. */
export function createAsk(child: ChildProcess): <T>(ask: string, given?: unknown) => Promise<T> {
  let lastId = 0
  const open = new Map<number, { resolve: (value: never) => void; reject: (err: Error) => void }>()

  child.on('message', ({ id, value, error }: Answer) => {
    const waiting = open.get(id)
    open.delete(id)
    if (error === undefined) waiting?.resolve(value as never)
    else waiting?.reject(new Error(error))
  })
  child.once('exit', (code, signal) => {
    for (const { reject } of open.values()) reject(new Error(`a measured process ended early: ${code ?? signal}`))
  })

  return (ask, given) =>
    new Promise((resolve, reject) => {
      const id = ++lastId
      open.set(id, { resolve, reject })
      child.send({ id, ask, given } satisfies Question, (err) => err && reject(err))
    })
}
