import { resolve } from 'node:path'
import type { Config } from '../config.ts'
import type { Store } from '../core/store.ts'
import { createOperators, type Operators } from '../operators.ts'
import { loadJwtSecret } from '../secrets.ts'
import type { Told } from './audit.ts'
import { toTable, toTime } from './table.ts'

interface Desk {
  readonly store: Store
  readonly config: Config
}

export async function addOperatorToken(desk: Desk, name: string): Promise<Told> {
  const { id, token } = await (await operatorsOf(desk)).addToken(name)
  return { subject: `token ${id}`, said: `token ${id} (${name})\nof an operator, shown this once: ${token}` }
}

export async function addOperatorKey(desk: Desk, name: string): Promise<Told> {
  const { id, key } = await (await operatorsOf(desk)).addKey(name)
  return { subject: `key ${id}`, said: `key ${id} (${name})\nto sign requests with, shown this once: ${key}` }
}

export async function listOperators({ store }: Desk): Promise<string> {
  const admins = (await store.listAccounts('person')).filter(({ isAdmin, isDisabled }) => isAdmin && !isDisabled)
  const people = admins.map(({ id, username, createdAt }) => ['user', id, username ?? '', toTime(createdAt)])
  const tokens = await store.listOperatorTokens()
  return toTable(
    [...people, ...tokens.map(({ kind, id, name, createdAt }) => [kind, id, name, toTime(createdAt)])],
    NONE
  )
}

export async function revokeOperator({ store }: Desk, id: number): Promise<Told> {
  const token = (await store.listOperatorTokens()).find((one) => one.id === id)
  if (!token || !(await store.removeOperatorToken(id))) throw new Error(`there is no token or key ${id}`)
  const subject = `${token.kind} ${id}`
  return { subject, said: `${subject} (${token.name}) opens nothing any more` }
}

export async function newSetupCode(desk: Desk): Promise<string> {
  return `set-up code of the console, good for one admin, shown this once: ${await (await operatorsOf(desk)).renewSetupCode()}`
}

const NONE = 'nobody: "lactea user admin NAME on" makes a person an admin, "lactea operator token NAME" a token'

async function operatorsOf({ store, config }: Desk): Promise<Operators> {
  return createOperators({
    store,
    secret: config.im.jwt_secret ?? (await loadJwtSecret(resolve(config.data.dir))),
    maxEntries: () => config.limits.audit_entries,
    now: () => Math.floor(Date.now() / 1000),
    onError(err) {
      throw err
    }
  })
}
