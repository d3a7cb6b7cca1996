import type { Reading } from './fault.ts'

/** What is known of one fault since it was last run in full. */
export interface Outcome {
  readonly number: number
  readonly title: string
  readonly mark: string
  readonly readings: readonly Reading[]
  /** When it broke or was skipped before it had figures. */
  readonly trouble: string
  /** Day of the run. */
  readonly day: string
  readonly seconds: number
}

export interface Run {
  readonly machine: string
  readonly outcomes: readonly Outcome[]
}

export type Verdict = 'met' | 'missed' | 'broken'

export function verdictOf({ readings, trouble }: Outcome): Verdict {
  if (trouble !== '' || readings.length === 0) return 'broken'
  return readings.every(({ isMet }) => isMet) ? 'met' : 'missed'
}

/** One line per fault for the terminal. */
export function toLine(outcome: Outcome): string {
  const { number, title, readings, trouble } = outcome
  const figures = readings.map(({ name, value, unit, wanted, isMet, reason }) => {
    const said = `${name} ${value}${unit && ` ${unit}`} (${wanted})`
    return isMet ? said : `${said} MISSED${reason && `: ${reason}`}`
  })
  return `${String(number).padStart(2)} ${verdictOf(outcome).padEnd(6)} ${title}: ${[...figures, trouble].filter((part) => part !== '').join('; ')}`
}

/** `docs/reliability-report.md`. */
export function toReport({ machine, outcomes }: Run): string {
  const count = (verdict: Verdict): number => outcomes.filter((outcome) => verdictOf(outcome) === verdict).length
  return [
    '# Reliability report',
    '',
    'Written by `npm run test:faults` from its last run; not meant to be edited. What each number promises is said in',
    '[operations.md](operations.md) and [security.md](security.md), what the laboratory is in',
    '[operations.md](operations.md#the-fault-laboratory).',
    '',
    `${outcomes.length} tests: ${count('met')} met, ${count('missed')} missed, ${count('broken')} without a figure. Machine: ${machine}.`,
    '',
    '| | test | figure | pass mark | |',
    '| --: | --- | --- | --- | --- |',
    ...outcomes.map(toRow),
    '',
    '## What has to come out',
    '',
    ...outcomes.map(({ number, title, mark }) => `${number}. **${title}.** ${mark}`),
    ''
  ].join('\n')
}

function toRow(outcome: Outcome): string {
  const { number, title, readings, trouble, day, seconds } = outcome
  const lines = (of: (reading: Reading) => string): string => readings.map(of).map(escape).join('<br>')
  const figures = lines(({ name, value, unit }) => `${name}: ${value}${unit && ` ${unit}`}`)
  const marks = lines(({ wanted, unit }) => `${wanted}${unit && ` ${unit}`}`)
  const reasons = readings.filter(({ isMet }) => !isMet).map(({ name, reason }) => `${name}${reason && `: ${reason}`}`)
  const verdict = verdictOf(outcome)
  const why = [trouble, ...reasons].filter((part) => part !== '').join('; ')
  const said = verdict === 'met' ? 'met' : `**${verdict}**${why && `: ${escape(why)}`}`
  return `| ${number} | ${escape(title)} | ${figures || '–'} | ${marks || '–'} | ${said} (${day}, ${seconds} s) |`
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
