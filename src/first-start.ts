import type { Config } from './config.ts'
import type { Accounts } from './core/accounts.ts'
import type { Store } from './core/store.ts'
import { createSetupCode, createToken, digestToken } from './secrets.ts'

/** What the first start makes so that there is something to try; the secrets are shown once and kept as digests. */
export interface Welcome {
  readonly botId: number
  readonly token: string
  readonly setupCode: string
}

const FIRST_BOT = 10001

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
  if ((await store.getMeta('started')) !== undefined) return undefined
  await store.setMeta('started', 'yes')
  if (config.bots.length > 0 || (await store.listAccounts('bot')).length > 0) return undefined
  const [token, setupCode] = [createToken(), createSetupCode()]
  await accounts.add({ id: FIRST_BOT, kind: 'bot', nickname: `Bot ${FIRST_BOT}` })
  await accounts.setToken(FIRST_BOT, token)
  await store.setMeta('console.setup_code', digestToken(setupCode).toString('hex'))
  return { botId: FIRST_BOT, token, setupCode }
}
