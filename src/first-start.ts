import type { Config } from './config.ts'
import type { Accounts } from './core/accounts.ts'
import type { Store } from './core/store.ts'
import { createSetupCode, createToken, digestToken } from './secrets.ts'

/** What the first start makes so that there is something to try. The secrets are shown once and kept as digests. */
export interface Welcome {
  readonly botId: number
  readonly token: string
  readonly setupCode: string
  /** To be called when the secrets were shown; a start that ends before makes new ones the next time. */
  readonly markShown: () => Promise<void>
}

const FIRST_BOT = 10001
/** Absent before the first start; `unseen` until its secrets were shown. */
const STARTED = 'started'

/** Makes a bot with a token and a set-up code for the console when neither the configuration nor the database has a bot; once. */
export async function welcome({
  store,
  accounts,
  config
}: {
  store: Store
  accounts: Accounts
  config: Config
}): Promise<Welcome | undefined> {
  const started = await store.getMeta(STARTED)
  if (started !== undefined && started !== 'unseen') return undefined
  const markShown = (): Promise<void> => store.setMeta(STARTED, 'yes')
  const bots = await store.listAccounts('bot')
  const isOurs = started === 'unseen' && bots.length === 1 && bots[0]?.id === FIRST_BOT && !bots[0].isDisabled
  if (config.bots.length > 0 || (bots.length > 0 && !isOurs)) {
    await markShown()
    return undefined
  }
  const [token, setupCode] = [createToken(), createSetupCode()]
  await store.setMeta(STARTED, 'unseen')
  if (!isOurs) await accounts.add({ id: FIRST_BOT, kind: 'bot', nickname: `Bot ${FIRST_BOT}` })
  await accounts.setToken(FIRST_BOT, token)
  await store.setMeta('console.setup_code', digestToken(setupCode).toString('hex'))
  return { botId: FIRST_BOT, token, setupCode, markShown }
}
