import { accessSync, constants, existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkGiven } from './config/check.ts'
import { FILE_VARIABLE, readEnvironment, SERVICE_LINK_HINT, type Setting } from './config/environment.ts'
import { readConfigFile } from './config/file.ts'
import { dropGiven, type GivenMapping, originOf, type Path, placeGiven } from './config/given.ts'
import { ConfigErrors, formatPath, type Mistake, type Report, sortMistakes } from './config/mistakes.ts'
import { checkRules } from './config/rules.ts'
import type { Config as ConfigType } from './config/schema.ts'
import { describeReadError } from './config/secrets.ts'
import { EVENTS_OF, RENAMED_EVENTS } from './protocols/event-names.ts'

export { isLoopback, isUnspecified, toOrigin } from './config/hosts.ts'
export { ConfigErrors, type Mistake } from './config/mistakes.ts'
export { notYet } from './config/not-yet.ts'
export { adoptConfig, type ConfigChange, EFFECTS, findEffectKey } from './config/reload.ts'
export { configReference, type ConfigRow, describeConfig } from './config/reference.ts'
export {
  BotConfig,
  Config,
  type Door,
  DOORS,
  Limits,
  MaimConfig,
  type Provision,
  ReverseConfig,
  type ServerTls,
  WebhookConfig
} from './config/schema.ts'
export { findWarnings } from './config/warnings.ts'
export { maskSecrets, maskUrl, secretsOf } from './config/secrets.ts'

/** File that is read from the working directory when none is named. */
export const DEFAULT_FILE = 'lactea.yaml'

/** What the command line may say; `port` may be text, as it was typed. */
export interface ConfigOverrides {
  port?: number | string | undefined
  host?: string | undefined
  dataDir?: string | undefined
}

export interface ConfigSources {
  /** Configuration file; relative to `cwd`. Without it `LACTEA_CONFIG`, then `lactea.yaml`, then no file at all. */
  file?: string | undefined
  argv?: ConfigOverrides | undefined
  env?: NodeJS.ProcessEnv | undefined
  cwd?: string | undefined
}

export interface LoadedConfig {
  config: ConfigType
  /** Absolute path of the file that was read. */
  file: string | undefined
}

interface FileChoice {
  path: string
  /** As the reader knows it. */
  name: string
  namedBy: string
}

/**
 * Reads the configuration: command line over environment over file over default. Synchronous, since nothing can start
 * before it. Relative paths inside the result (`data.dir`) are left as written.
 * @throws ConfigErrors with every mistake that was found; no message holds the value of a secret
 */
export function loadConfig({
  file,
  argv = {},
  env = process.env,
  cwd = process.cwd()
}: ConfigSources = {}): LoadedConfig {
  const { mistakes, report, lookIn } = createReport()
  const settings = readEnvironment(env, cwd, report)
  const chosen = chooseFile(file, env, cwd)
  const tree = chosen ? readFile(chosen, report) : emptyTree(cwd)
  // Without the file every judgement about what the other sources say would be a guess.
  if (!tree) throw new ConfigErrors(sortMistakes(mistakes))

  lookIn(tree)
  for (const setting of [...settings, ...toSettings(argv, cwd)]) applySetting(tree, setting, report)
  const config = checkGiven(tree, report)
  checkRules(config, report, { events: EVENTS_OF, renamed: RENAMED_EVENTS })
  if (mistakes.length > 0) throw new ConfigErrors(sortMistakes(mistakes))
  return { config: config as ConfigType, file: chosen?.path }
}

function createReport() {
  const mistakes: Mistake[] = []
  let tree: GivenMapping | undefined

  const report: Report = (path, message, known) => {
    // A Service called "lactea" makes Kubernetes set LACTEA_PORT=tcp://10.0.0.7:3000, which puzzles everybody once.
    const { source, line } = known ?? (tree ? originOf(tree, path) : { source: '' })
    const hint = source === 'LACTEA_PORT' && message.includes('"tcp://') ? SERVICE_LINK_HINT : ''
    mistakes.push({
      path: formatPath(path),
      ...(source && { source }),
      ...(line !== undefined && { line }),
      message: `${message}${hint}`
    })
  }

  return { mistakes, report, lookIn: (given: GivenMapping) => (tree = given) }
}

function chooseFile(file: string | undefined, env: NodeJS.ProcessEnv, cwd: string): FileChoice | undefined {
  if (file) return { path: resolve(cwd, file), name: file, namedBy: '--config' }
  const variable = env[FILE_VARIABLE]
  if (variable) return { path: resolve(cwd, variable), name: variable, namedBy: FILE_VARIABLE }
  const path = resolve(cwd, DEFAULT_FILE)
  return existsSync(path) ? { path, name: DEFAULT_FILE, namedBy: DEFAULT_FILE } : undefined
}

function readFile({ path, name, namedBy }: FileChoice, report: Report): GivenMapping | undefined {
  try {
    accessSync(path, constants.R_OK)
    return readConfigFile(path, name, report)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    report([], `the configuration file ${path} ${describeReadError(error)}`, { source: namedBy, baseDir: '' })
    return undefined
  }
}

const emptyTree = (baseDir: string): GivenMapping => ({
  kind: 'mapping',
  entries: new Map(),
  origin: { source: '', baseDir }
})

function toSettings({ port, host, dataDir }: ConfigOverrides, baseDir: string): Setting[] {
  const options: [string, Path, string | number | undefined][] = [
    ['--port', ['server', 'port'], typeof port === 'string' && /^\d+$/.test(port) ? Number(port) : port],
    ['--host', ['server', 'host'], host],
    ['--data-dir', ['data', 'dir'], dataDir]
  ]
  return options.flatMap(([source, path, value]) =>
    value === undefined
      ? []
      : [{ path, fromFile: false, given: { kind: 'scalar', value, origin: { source, baseDir } } }]
  )
}

/** A secret and its `_file` form are one key to the reader: the stronger source replaces both. */
function applySetting(tree: GivenMapping, { path, fromFile, given }: Setting, report: Report): void {
  const filePath = [...path.slice(0, -1), `${path.at(-1)}_file`]
  dropGiven(tree, fromFile ? path : filePath)
  if (placeGiven(tree, fromFile ? filePath : path, given)) return
  report(
    path,
    `${formatPath(path)} leaves a gap; entries of a list are numbered from 0, one after the other`,
    given.origin
  )
}
