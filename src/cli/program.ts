import { resolve } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { Command, InvalidArgumentError } from 'commander'
import { stringify } from 'yaml'
import * as desk from './accounts.ts'
import { backUp, migrate, restore } from './backup.ts'
import { listAudit, writtenDown, type Told } from './audit.ts'
import { notify, type NoticeRequest } from './notices.ts'
import * as operators from './operators.ts'
import * as webhooks from './webhooks.ts'
import { findWarnings, loadConfig, maskSecrets, type ConfigOverrides } from '../config.ts'
import { prepareDataDir } from '../secrets.ts'
import { readVersion } from '../version.ts'

const program = new Command('lactea')
  .description('A messaging gateway where people, bots and LLM brains meet')
  .version(readVersion())

interface Common extends ConfigOverrides {
  config?: string
}

/** A command that knows the configuration. */
function command(parent: Command, usage: string, summary: string): Command {
  return parent
    .command(usage)
    .description(summary)
    .option('--config <file>', 'configuration file (default: lactea.yaml in the working directory, when there is one)')
    .option('--data-dir <dir>', 'data directory')
}

function load({ config: file, port, host, dataDir }: Common) {
  return loadConfig({ file, argv: { port, host, dataDir } })
}

/** Looks something up in the database and prints it. */
function lookCommand(
  parent: Command,
  usage: string,
  summary: string,
  look: (desk: desk.Desk, args: string[], options: never) => Promise<string>
): Command {
  return command(parent, usage, summary).action(async (...given: unknown[]) => {
    const { args, options } = toCall(given)
    const said = await desk.atDesk(load(options).config, (open) => look(open, args, options as never))
    process.stdout.write(`${said}\n`)
  })
}

/** Does its work on the database, writes it down in the audit and prints what came of it. */
function deskCommand(
  parent: Command,
  usage: string,
  summary: string,
  work: (desk: desk.Desk, args: string[], options: never) => Promise<Told>
): Command {
  const made = command(parent, usage, summary)
  const action = parent === program ? made.name() : `${parent.name()}.${made.name()}`
  return made.action(async (...given: unknown[]) => {
    const { args, options } = toCall(given)
    const { config } = load(options)
    const written = { action, args, options: { ...options }, maxEntries: config.limits.audit_entries }
    const said = await desk.atDesk(config, (open) =>
      writtenDown(open, written, () => work(open, args, options as never))
    )
    process.stdout.write(`${said}\n`)
  })
}

/** commander gives the arguments, then the options, then the command. */
function toCall(given: readonly unknown[]): { args: string[]; options: Common } {
  return { args: given.slice(0, -2) as string[], options: given.at(-2) as Common }
}

command(program, 'start', 'run the gateway')
  .option('--port <n>', 'TCP port')
  .option('--host <host>', 'address to listen on')
  .action(async (options: Common) => {
    const { config } = load(options)
    // The other commands do not wait until a whole server is loaded.
    await prepareDataDir(resolve(config.data.dir))
    const { start } = await import('./start.ts')
    await start(config, () => load(options).config)
  })

command(program, 'check-config', 'print every mistake of the configuration, or what it amounts to').action(
  (options: Common) => {
    const { config } = load(options)
    for (const words of findWarnings(config)) process.stderr.write(`warning: ${words}\n`)
    process.stdout.write(stringify(maskSecrets(config)))
  }
)

command(program, 'doctor', 'look at everything that the gateway depends on and dials, and say what to change').action(
  async (options: Common) => {
    const { config } = load(options)
    const { examine, toReport } = await import('./doctor.ts')
    const diagnoses = await examine(config)
    process.stdout.write(`${toReport(diagnoses)}\n`)
    if (diagnoses.some(({ state }) => state === 'failure')) process.exitCode = 1
  }
)

const bot = program.command('bot').description('bots: accounts with an access token')
deskCommand(bot, 'add', 'make a bot and print its token', (open, _args, options) => desk.addBot(open, options))
  .option('--id <n>', 'account id', toId)
  .option('--nickname <name>', 'what people see')
lookCommand(bot, 'list', 'list the bots', (open) => desk.listBots(open))
deskCommand(bot, 'token <id>', 'give a bot a new token and print it', (open, [id]) =>
  desk.newBotToken(open, toId(id ?? ''))
)
deskCommand(bot, 'remove <id>', 'switch a bot off', (open, [id]) => desk.removeBot(open, toId(id ?? '')))

const user = program.command('user').description('people: accounts with a password')
deskCommand(
  user,
  'add <username>',
  'make an account for a person',
  async (open, [username = ''], options: desk.NewUser & PasswordOptions) =>
    desk.addUser(open, { ...options, username, password: await readPassword(options) })
)
  .option('--id <n>', 'account id', toId)
  .option('--nickname <name>', 'what others see')
  .option('--phone <number>', 'phone number to sign in with')
  .option('--password-stdin', 'read the password from standard input (default: make one and print it)')
deskCommand(user, 'invite', 'print a code with which one person may make an account', (open, _args, options) =>
  desk.inviteUser(open, options)
).option('--days <n>', 'how long it is good', toDays, 7)
lookCommand(user, 'list', 'list the people', (open) => desk.listUsers(open))
deskCommand(
  user,
  'password <user>',
  'give a person a new password',
  async (open, [who = ''], options: PasswordOptions) => desk.setUserPassword(open, who, await readPassword(options))
).option('--password-stdin', 'read the password from standard input (default: make one and print it)')
deskCommand(user, 'admin <user> <on|off>', 'make a person an admin, or no longer', (open, [who = '', state = '']) =>
  desk.setUserAdmin(open, who, toSwitch(state))
)
deskCommand(user, 'remove <user>', "switch a person's account off", (open, [who = '']) => desk.removeUser(open, who))
deskCommand(user, 'befriend <id> <other>', 'make two accounts friends', (open, [a = '', b = '']) =>
  desk.befriend(open, toId(a), toId(b))
)

const group = program.command('group').description('groups of people and bots')
deskCommand(group, 'add <name>', 'make a group', (open, [name = ''], options: Omit<desk.GroupRequest, 'name'>) =>
  desk.addGroup(open, { ...options, name })
)
  .requiredOption('--owner <id>', 'account that owns it', toId)
  .option('--id <n>', 'group id, from 100001', toId)
  .option('--admins <ids>', 'accounts, separated by commas', toIds, [])
  .option('--members <ids>', 'accounts, separated by commas', toIds, [])
lookCommand(group, 'list', 'list the groups', (open) => desk.listGroups(open))
deskCommand(group, 'join <group> <ids...>', 'put accounts into a group', (open, args) => {
  const [groupId, ids] = args as unknown as [string, string[]]
  return desk.joinGroup(open, toId(groupId), ids.map(toId))
})

const webhook = program.command('webhook').description('webhooks: what became of deliveries')
lookCommand(webhook, 'list', 'list the webhooks and where they stand', (open) => webhooks.listWebhooks(open))
lookCommand(webhook, 'show <id>', 'show one with what waits for it and what is dead', (open, [id = '']) =>
  webhooks.showWebhook(open, id)
)
lookCommand(
  webhook,
  'attempts <id>',
  'show what was tried and what came of it',
  (open, [id = ''], options: webhooks.AttemptOptions) => webhooks.listAttempts(open, id, options)
)
  .option('--event <n>', 'of this event alone', toEventId)
  .option('--last <n>', 'so many', toCount, 50)
deskCommand(webhook, 'pause <id>', 'deliver nothing until it is resumed', (open, [id = ''], options: Reason) =>
  webhooks.setWebhookState(open, id, 'paused', options.reason)
).option('--reason <words>', 'why, for whoever finds it paused')
deskCommand(webhook, 'resume <id>', 'go on where it stopped', (open, [id = '']) =>
  webhooks.setWebhookState(open, id, 'active')
)
deskCommand(
  webhook,
  'replay <id>',
  'send events again, under the ids that they have',
  (open, [id = ''], options: webhooks.ReplayOptions) => webhooks.replayWebhook(open, id, options)
)
  .option('--event <ids...>', 'these events', toEventIds)
  .option('--from <n>', 'from this event on', toEventId)
  .option('--to <n>', 'up to this event', toEventId)
  .option('--dead', 'all that were given up')

const operator = program.command('operator').description('who may call /api/admin: tokens and keys of scripts')
deskCommand(operator, 'token <name>', 'make a token and print it', (open, [name = '']) =>
  operators.addOperatorToken(open, name)
)
deskCommand(operator, 'key <name>', 'make a key that signs requests and print it', (open, [name = '']) =>
  operators.addOperatorKey(open, name)
)
lookCommand(operator, 'list', 'list admins, tokens and keys', (open) => operators.listOperators(open))
deskCommand(operator, 'revoke <id>', 'take a token or a key back', (open, [id = '']) =>
  operators.revokeOperator(open, toEventId(id))
)
deskCommand(operator, 'setup-code', 'print a new code that makes one admin at /console', (open) =>
  operators.newSetupCode(open)
)
lookCommand(program, 'audit', 'show what operators did', (open, _args, options: { last: number }) =>
  listAudit(open, options)
).option('--last <n>', 'so many entries', toCount, 50)

deskCommand(
  program,
  'notify <title> <message>',
  'tell everybody something, or some people',
  (open, [title = '', message = ''], options: Omit<NoticeRequest, 'title' | 'message'>) =>
    notify(open, { ...options, title, message })
)
  .option('--to <people>', 'ids or usernames, separated by commas (default: everybody)', toNames)
  .option('--type <type>', 'info, warning, error or success', toNoticeType, 'info')
  .option('--url <url>', 'where to read on', '')

command(
  program,
  'backup <file>',
  'write database, uploaded files and generated keys into one file, also while the gateway runs'
).action(async (file: string, options: Common) => say(await backUp(load(options).config, file)))
command(program, 'restore <file>', 'put a backup into the data directory; the gateway has to be stopped')
  .option('--force', 'put aside what is there')
  .action(async (file: string, options: Common & { force?: boolean }) =>
    say(await restore(load(options).config, file, options))
  )
command(program, 'migrate', 'bring the database to the newest schema, as the start does').action(
  async (options: Common) => say(await migrate(load(options).config))
)

function say(words: string): void {
  process.stdout.write(`${words}\n`)
}

interface PasswordOptions {
  passwordStdin?: boolean
}

async function readPassword({ passwordStdin }: PasswordOptions): Promise<string | undefined> {
  return passwordStdin ? (await readAll(process.stdin)).replace(/\r?\n$/, '') : undefined
}

function toId(text: string): number {
  const id = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(id) || id < 10_001)
    throw new InvalidArgumentError('expected an id, a number from 10001')
  return id
}

interface Reason {
  reason?: string
}

function toEventId(text: string): number {
  const id = Number(text)
  if (!/^\d{1,15}$/.test(text) || id < 1) throw new InvalidArgumentError('expected a number from 1')
  return id
}

/** commander calls it for each, with what it gave for those before. */
function toEventIds(text: string, before: readonly number[] = []): number[] {
  return [...before, ...text.split(',').map((part) => toEventId(part.trim()))]
}

function toCount(text: string): number {
  return Math.min(toEventId(text), 1000)
}

function toDays(text: string): number {
  const days = Number(text)
  if (!/^\d+$/.test(text) || days < 1 || days > 365) throw new InvalidArgumentError('expected a number from 1 to 365')
  return days
}

function toSwitch(text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new InvalidArgumentError('expected on or off')
  return text === 'on'
}

function toNames(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function toNoticeType(text: string): NoticeRequest['type'] {
  const type = (['info', 'warning', 'error', 'success'] as const).find((word) => word === text)
  if (!type) throw new InvalidArgumentError('expected info, warning, error or success')
  return type
}

function toIds(text: string): number[] {
  return text.split(',').map((part) => toId(part.trim()))
}

/** Does what the arguments of the process say. */
export async function runProgram(): Promise<void> {
  try {
    await program.parseAsync()
  } catch (err) {
    process.stderr.write(`${(err as Error).message}\n`)
    process.exitCode = 1
  }
}
