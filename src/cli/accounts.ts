import { join, resolve } from 'node:path'
import { createAccounts, type Accounts } from '../core/accounts.ts'
import { createGroups, type Groups } from '../core/groups.ts'
import type { Account, Store } from '../core/store.ts'
import type { Config } from '../config.ts'
import { completeRestore } from '../restore.ts'
import { createToken, digestToken, passwords, prepareDataDir } from '../secrets.ts'
import { openSqliteStore } from '../store/index.ts'
import type { Told } from './audit.ts'
import { toTable } from './table.ts'

/** What the commands about accounts work with: the same rules and the same database as the gateway, which may be running. */
export interface Desk {
  readonly config: Config
  readonly store: Store
  readonly accounts: Accounts
  readonly groups: Groups
}

const now = (): number => Math.floor(Date.now() / 1000)

export async function atDesk<T>(config: Config, work: (desk: Desk) => Promise<T>): Promise<T> {
  const dir = resolve(config.data.dir)
  await prepareDataDir(dir)
  await completeRestore(dir)
  const store = await openSqliteStore({ path: join(dir, 'lactea.db'), isShort: true })
  try {
    return await work({
      config,
      store,
      accounts: createAccounts({ store, now, passwords, digest: digestToken }),
      groups: createGroups(store, now)
    })
  } finally {
    await store.close()
  }
}

export async function addBot(
  { accounts }: Desk,
  { id, nickname }: { id?: number | undefined; nickname?: string | undefined }
): Promise<Told> {
  const bot = await accounts.add({ id, kind: 'bot', nickname: nickname ?? 'Bot' })
  const token = createToken()
  await accounts.setToken(bot.id, token)
  return { subject: String(bot.id), said: `bot ${bot.id} (${bot.nickname})\naccess token, shown this once: ${token}` }
}

export async function listBots({ store }: Desk): Promise<string> {
  const bots = await store.listAccounts('bot')
  const rows = await Promise.all(
    bots.map(async (bot) => [bot.id, bot.nickname, stateOf(bot), `${await store.countTokens(bot.id)} token`])
  )
  return toTable(rows, 'no bots')
}

export async function newBotToken(desk: Desk, id: number): Promise<string> {
  const bot = await mustFind(desk, id, 'bot')
  const token = createToken()
  await desk.accounts.setToken(bot.id, token)
  return `access token of bot ${bot.id}, shown this once; the one before is void: ${token}`
}

export async function removeBot(desk: Desk, id: number): Promise<string> {
  const bot = await mustFind(desk, id, 'bot')
  await desk.accounts.remove(bot.id)
  return `bot ${bot.id} is switched off; what it said stays`
}

export interface NewUser {
  readonly username: string
  readonly id?: number | undefined
  readonly nickname?: string | undefined
  readonly phone?: string | undefined
  readonly password?: string | undefined
}

export async function addUser({ accounts }: Desk, { username, id, nickname, phone, password }: NewUser): Promise<Told> {
  const secret = password ?? createToken().slice(0, 16)
  const user = await accounts.add({
    id,
    kind: 'person',
    username,
    phone,
    nickname: nickname ?? username,
    password: secret
  })
  const said = `user ${user.id} (${username})${password === undefined ? `\npassword, shown this once: ${secret}` : ''}`
  return { subject: String(user.id), said }
}

const DAY_S = 24 * 3600

export async function inviteUser({ accounts }: Desk, { days }: { days: number }): Promise<string> {
  const code = createToken().slice(0, 16)
  const expiresAt = await accounts.invite(code, days * DAY_S)
  return `invitation for one account, good until ${new Date(expiresAt * 1000).toISOString()}, shown this once: ${code}`
}

export async function listUsers({ store }: Desk): Promise<string> {
  const users = await store.listAccounts('person')
  return toTable(
    users.map((user) => [user.id, user.username ?? '', user.nickname, stateOf(user), user.isAdmin ? 'admin' : '']),
    'no users'
  )
}

export async function setUserPassword(desk: Desk, who: string, password: string | undefined): Promise<string> {
  const user = await mustFind(desk, who, 'person')
  const secret = password ?? createToken().slice(0, 16)
  await desk.accounts.setPassword(user.id, secret)
  return `the password of user ${user.id} is changed${password === undefined ? `; it is shown this once: ${secret}` : ''}`
}

export async function setUserAdmin(desk: Desk, who: string, isAdmin: boolean): Promise<string> {
  const user = await mustFind(desk, who, 'person')
  await desk.store.setAdmin(user.id, isAdmin)
  return `user ${user.id} is ${isAdmin ? 'an admin' : 'no admin'} from now on`
}

export async function removeUser(desk: Desk, who: string): Promise<string> {
  const user = await mustFind(desk, who, 'person')
  await desk.accounts.remove(user.id)
  return `user ${user.id} is switched off; what they said stays`
}

export interface GroupRequest {
  readonly name: string
  readonly id?: number | undefined
  readonly owner: number
  readonly admins: readonly number[]
  readonly members: readonly number[]
}

export async function addGroup({ store }: Desk, { name, id, owner, admins, members }: GroupRequest): Promise<Told> {
  const group = await store.addGroup({
    id,
    name,
    ownerId: owner,
    adminIds: admins,
    memberIds: members,
    createdAt: now()
  })
  return { subject: String(group.id), said: `group ${group.id} (${group.name}) with ${group.memberCount} members` }
}

export async function joinGroup({ groups }: Desk, groupId: number, accountIds: readonly number[]): Promise<string> {
  for (const accountId of accountIds) await groups.addMember(groupId, accountId)
  return `in group ${groupId} now: ${accountIds.join(', ')}`
}

export async function listGroups({ store }: Desk): Promise<string> {
  const groups = await store.listGroups()
  return toTable(
    groups.map((group) => [group.id, group.name, `owner ${group.ownerId}`, `${group.memberCount} members`]),
    'no groups'
  )
}

export async function befriend(desk: Desk, a: number, b: number): Promise<string> {
  for (const id of [a, b]) if (!(await desk.store.findAccount(id))) throw new Error(`there is no account ${id}`)
  await desk.accounts.befriend(a, b)
  return `${a} and ${b} are friends`
}

async function mustFind({ store }: Desk, who: string | number, kind: 'person' | 'bot'): Promise<Account> {
  const id = Number(who)
  const account = Number.isSafeInteger(id)
    ? await store.findAccount(id)
    : await store.findAccountByLogin({ username: String(who) })
  if (!account || account.kind !== kind) throw new Error(`there is no ${kind === 'bot' ? 'bot' : 'user'} ${who}`)
  return account
}

function stateOf(account: Account): string {
  return account.isDisabled ? 'off' : 'on'
}
