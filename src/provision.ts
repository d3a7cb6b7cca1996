import type { Config, Provision } from './config.ts'
import type { Accounts } from './core/accounts.ts'
import type { Groups } from './core/groups.ts'
import type { Store } from './core/store.ts'
import { passwords } from './secrets.ts'

export interface ProvisionOptions {
  readonly store: Store
  readonly accounts: Accounts
  readonly groups: Groups
  /** Unix seconds. */
  readonly now: () => number
}

/** Makes sure of what the configuration names: bots, accounts, friends, groups. Nothing is ever removed. Throws with a sentence when it contradicts the database. */
export async function provision(config: Config, options: ProvisionOptions): Promise<void> {
  // A default name is for a new bot; one that was made on the command line keeps the name it got there.
  for (const { id, nickname } of config.bots)
    await ensureAccount({ id, kind: 'bot', nickname: nickname === `Bot ${id}` ? undefined : nickname }, options)
  for (const account of config.provision.accounts) await ensurePerson(account, options)
  for (const [a, b] of config.provision.friends) {
    await mustExist([a, b], 'provision.friends', options)
    await options.accounts.befriend(a, b)
  }
  for (const group of config.provision.groups) await ensureGroup(group, options)
  for (const [index, { account }] of config.maim.keys.entries())
    await mustBeBot(account, `maim.keys[${index}].account`, options)
}

interface Wanted {
  readonly id: number
  readonly kind: 'person' | 'bot'
  readonly nickname?: string | null | undefined
  readonly username?: string | null | undefined
  readonly phone?: string | null | undefined
  readonly password?: string | null | undefined
}

async function ensureAccount(
  { id, kind, nickname, username, phone, password }: Wanted,
  { store, accounts }: ProvisionOptions
): Promise<void> {
  const existing = await store.findAccount(id)
  const key = `provision.nickname.${id}`
  if (!existing) {
    const name = nickname ?? username ?? `${kind === 'bot' ? 'Bot' : 'User'} ${id}`
    await accounts.add({
      id,
      kind,
      nickname: name,
      username: username ?? undefined,
      phone: phone ?? undefined,
      password: password ?? undefined
    })
    if (kind === 'bot' && nickname) await store.setMeta(key, nickname)
    return
  }
  if (existing.kind !== kind)
    throw new Error(`the configuration names account ${id} as a ${kind}, but in the database it is a ${existing.kind}`)
  if (existing.isDisabled)
    throw new Error(`the configuration names account ${id}, which was removed; give the new one another id`)
  // Set once: a bot that calls itself something else keeps its name until the file says something new. A person's name
  // is theirs alone (`PUT /api/users/me`).
  if (kind !== 'bot' || !nickname || nickname === (await store.getMeta(key))) return
  if (nickname !== existing.nickname) await store.setNickname(id, nickname)
  await store.setMeta(key, nickname)
}

async function ensurePerson(account: Provision['accounts'][number], options: ProvisionOptions): Promise<void> {
  await ensureAccount(account, options)
  const { accounts, store } = options
  const { id, password } = account
  const { username } = (await store.findAccount(id)) ?? {}
  if (!password || username === undefined) return
  const key = `provision.password.${id}`
  const applied = await store.getMeta(key)
  // Set once: a person who has changed it since keeps theirs until the file says something new.
  if (applied !== undefined && (await passwords.verify(applied, password))) return
  if (!(await accounts.signIn({ username, password }))) await accounts.setPassword(id, password)
  await store.setMeta(key, await passwords.hash(password))
}

async function ensureGroup(group: Provision['groups'][number], options: ProvisionOptions): Promise<void> {
  const { store, groups, now } = options
  const { id, name, owner, admins, members } = group
  await mustExist([owner, ...admins, ...members], `provision.groups: group ${id}`, options)
  if (!(await store.findGroup(id))) {
    await store.addGroup({ id, name, ownerId: owner, adminIds: admins, memberIds: members, createdAt: now() })
    return
  }
  for (const accountId of [...admins, ...members]) await groups.addMember(id, accountId)
  const { ownerId } = (await store.findGroup(id)) ?? { ownerId: owner }
  for (const accountId of admins) if (accountId !== ownerId) await groups.setAdmin(ownerId, id, accountId, true)
}

async function mustExist(ids: readonly number[], where: string, { store }: ProvisionOptions): Promise<void> {
  for (const id of ids) {
    if (!(await store.findAccount(id)))
      throw new Error(`${where} names account ${id}, which does not exist; add it to provision.accounts or bots`)
  }
}

/** A key opens the mouth of its account, and people speak for themselves. */
async function mustBeBot(id: number, where: string, options: ProvisionOptions): Promise<void> {
  await mustExist([id], where, options)
  const account = await options.store.findAccount(id)
  if (account?.kind !== 'bot') throw new Error(`${where} names account ${id}, which is a person; it must be a bot`)
}
