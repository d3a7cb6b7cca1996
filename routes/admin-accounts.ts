import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { idOf, pageOf } from '../plugins/people.ts'
import type { Config } from '../src/config.ts'
import { MIN_PASSWORD_LENGTH } from '../src/core/accounts.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Account } from '../src/core/store.ts'
import type { Gateway } from '../src/gateway.ts'
import { toTimestamp } from '../src/protocols/imsuite.ts'
import { toPagination } from '../src/protocols/imsuite-rest.ts'
import { Bool } from '../src/schema/common.ts'
import { createToken } from '../src/secrets.ts'
import type { Sessions } from '../src/sessions.ts'

export interface AdminAccountsOptions {
  readonly gateway: Pick<Gateway, 'store' | 'accounts' | 'devices' | 'now'>
  readonly sessions: Sessions
  readonly config: Pick<Config, 'bots'>
}

const Switch = Type.Object({ admin: Bool })
const Password = Type.Object({
  password: Type.Optional(
    Type.String({
      minLength: MIN_PASSWORD_LENGTH,
      description: `expected a password of at least ${MIN_PASSWORD_LENGTH} characters`
    })
  )
})

/** Bots and people as an operator sees them. */
export async function adminAccounts(
  { desk }: FastifyInstance,
  { gateway, sessions, config }: AdminAccountsOptions
): Promise<void> {
  const { store, accounts, devices, now } = gateway

  async function mustFind(request: FastifyRequest, kind: Account['kind']): Promise<Account> {
    const id = idOf(request)
    const account = await store.findAccount(id)
    if (account?.kind !== kind)
      throw new ActionError('not_found', `there is no ${kind === 'bot' ? 'bot' : 'user'} ${id}`, { field: 'id' })
    return account
  }

  const configured = (id: number): boolean => config.bots.some((bot) => bot.id === id && bot.access_token !== null)

  const toBot = async (bot: Account) => ({
    ...toAccount(bot),
    online: devices.has(bot.id),
    has_token: configured(bot.id) || (await store.countTokens(bot.id)) > 0,
    is_configured: config.bots.some(({ id }) => id === bot.id)
  })

  const toPerson = (person: Account) => ({
    ...toAccount(person),
    username: person.username ?? '',
    phone: person.phone ?? '',
    admin: person.isAdmin,
    online: devices.has(person.id),
    sockets: devices.of(person.id).length
  })

  async function readPage(request: FastifyRequest, kind: Account['kind']) {
    const { page, limit, offset } = pageOf(request)
    const all = await store.listAccounts(kind)
    return { found: all.slice(offset, offset + limit), pagination: toPagination({ page, limit, total: all.length }) }
  }

  desk.look('/api/admin/bots', async (request) => {
    const { found, pagination } = await readPage(request, 'bot')
    return { bots: await Promise.all(found.map(toBot)), pagination }
  })

  desk.act({
    path: '/api/admin/bots/:id/token',
    action: 'bot.token',
    async run({ request }) {
      const bot = await mustFind(request, 'bot')
      if (configured(bot.id))
        throw new ActionError('conflict', `the token of bot ${bot.id} stands in the configuration, which counts alone`)
      const token = createToken()
      await accounts.setToken(bot.id, token)
      return { answer: { access_token: token } }
    }
  })

  desk.act({
    path: '/api/admin/bots/:id/remove',
    action: 'bot.remove',
    async run({ request }) {
      const bot = await mustFind(request, 'bot')
      await accounts.remove(bot.id)
      return { answer: { bot: await toBot(await mustFind(request, 'bot')) } }
    }
  })

  desk.look('/api/admin/users', async (request) => {
    const { found, pagination } = await readPage(request, 'person')
    return { users: found.map(toPerson), pagination }
  })

  desk.act({
    path: '/api/admin/users/:id/sign-out',
    action: 'user.sign-out',
    async run({ request }) {
      const person = await mustFind(request, 'person')
      await sessions.endAll(person.id)
      return { answer: { user: toPerson(person) } }
    }
  })

  desk.act({
    path: '/api/admin/users/:id/admin',
    action: 'user.admin',
    params: Switch,
    async run({ request, params }) {
      const person = await mustFind(request, 'person')
      const isAdmin = params['admin'] === true
      await store.setAdmin(person.id, isAdmin)
      return { answer: { user: toPerson(await mustFind(request, 'person')) }, details: { admin: isAdmin } }
    }
  })

  desk.act({
    path: '/api/admin/users/:id/password',
    action: 'user.password',
    params: Password,
    async run({ request, params }) {
      const person = await mustFind(request, 'person')
      const given = params['password'] as string | undefined
      const password = given ?? createToken().slice(0, 16)
      const ended = await accounts.setPassword(person.id, password)
      sessions.tellEnded(ended)
      // One that the operator has chosen need not be told.
      return { answer: given === undefined ? { password } : {}, details: { made_here: given === undefined } }
    }
  })

  desk.act({
    path: '/api/admin/users/:id/remove',
    action: 'user.remove',
    async run({ request }) {
      const person = await mustFind(request, 'person')
      await sessions.endAll(person.id)
      await accounts.remove(person.id)
      return { answer: { user: toPerson(await mustFind(request, 'person')) } }
    }
  })

  function toAccount(account: Account) {
    return {
      id: account.id,
      nickname: account.nickname,
      on: !account.isDisabled,
      created_at: toTimestamp(account.createdAt)
    }
  }

  desk.look('/api/admin/sessions', async () => ({
    sessions: await store.countSessions(now()),
    sockets: devices.count()
  }))
}
