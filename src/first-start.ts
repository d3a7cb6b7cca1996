import type { Config } from './config.ts'
import type { Accounts } from './core/accounts.ts'
import type { Account, Store } from './core/store.ts'
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
  const unseen = started === 'unseen' && bots.length === 1 ? bots[0] : undefined
  if (config.bots.length > 0 || (bots.length > 0 && !unseen) || unseen?.isDisabled) {
    await markShown()
    return undefined
  }
  const [token, setupCode] = [createToken(), createSetupCode()]
  await store.setMeta(STARTED, 'unseen')
  const bot = unseen ?? (await addFirstBot({ store, accounts }))
  await accounts.setToken(bot.id, token)
  await store.setMeta('console.setup_code', digestToken(setupCode).toString('hex'))
  return { botId: bot.id, token, setupCode, markShown }
}

async function addFirstBot({ store, accounts }: { store: Store; accounts: Accounts }): Promise<Account> {
  // The command line may have made an account for a person before anything was started.
  const id = (await store.findAccount(FIRST_BOT)) ? undefined : FIRST_BOT
  return accounts.add({ id, kind: 'bot', nickname: id === undefined ? 'Bot' : `Bot ${id}` })
}
