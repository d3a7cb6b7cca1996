import type { CustomMessage } from './custom.ts'
import { MessageClient, type LegacyState, type MessageClientOptions, type TargetConfig } from './legacy-client.ts'
import { LegacyHandlers, type CustomMessageHandler, type LegacyHooks, type MessageHandler } from './legacy-handlers.ts'
import type { MessageBase } from './message.ts'

/** Which server stands for which platform; the name is also what we are called over there. */
export type RouteConfig = Readonly<Record<string, TargetConfig>>

export interface RouterOptions
  extends
    LegacyHooks,
    Pick<
      MessageClientOptions,
      'retry' | 'pingIntervalMs' | 'pingTimeoutMs' | 'maxFrame' | 'maxQueuedBytes' | 'compress'
    > {
  readonly onState?: (platform: string, state: LegacyState) => void
}

/** Many clients of the legacy protocol under one roof: one connection per platform, messages go by the platform that they name. */
export class Router {
  readonly #options: RouterOptions
  readonly #handlers: LegacyHandlers
  readonly #clients = new Map<string, MessageClient>()
  #isRunning = false

  /** Throws when an address is none that can be dialled. */
  constructor(routes: RouteConfig, options: RouterOptions = {}) {
    this.#options = options
    this.#handlers = new LegacyHandlers(options)
    for (const [platform, target] of Object.entries(routes)) this.#clients.set(platform, this.#create(platform, target))
  }

  get platforms(): string[] {
    return [...this.#clients.keys()]
  }

  /** For the messages of all connections. Gives back its undo. */
  registerClassHandler(handler: MessageHandler): () => void {
    return this.#handlers.add(handler)
  }

  /** For the custom messages of this name, of all connections. Gives back its undo. */
  registerCustomMessageHandler(name: string, handler: CustomMessageHandler): () => void {
    return this.#handlers.addCustom(name, handler)
  }

  /** Dials every server, again and again until `stop`. Resolves with how each first try went. */
  async run(): Promise<Record<string, boolean>> {
    this.#isRunning = true
    const tries = [...this.#clients].map(async ([platform, client]) => [platform, await client.connect()] as const)
    return Object.fromEntries(await Promise.all(tries))
  }

  /** Closes every connection and dials no more. */
  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all([...this.#clients.values()].map((client) => client.stop()))
  }

  /** Adds a server, or puts it in the place of the one that the platform had. Dialled at once when the router runs. */
  async addPlatform(platform: string, target: TargetConfig): Promise<void> {
    const client = this.#create(platform, target)
    const old = this.#clients.get(platform)
    this.#clients.set(platform, client)
    await old?.stop()
    if (this.#isRunning) void client.connect()
  }

  /** Closes the connection of the platform; false when there is no such platform. */
  async removePlatform(platform: string): Promise<boolean> {
    const client = this.#clients.get(platform)
    this.#clients.delete(platform)
    await client?.stop()
    return client !== undefined
  }

  /** Whether the connection of the platform is open now. */
  isConnected(platform: string): boolean {
    return this.#clients.get(platform)?.isConnected ?? false
  }

  /** Why the last try or connection of the platform ended. */
  lastError(platform: string): string | undefined {
    return this.#clients.get(platform)?.lastError
  }

  /** Sends to the server of `message_info.platform`; false when there is none, or no connection to it. Nothing is kept. */
  sendMessage(message: MessageBase): boolean {
    return this.#clients.get(message.message_info.platform ?? '')?.sendMessage(message) ?? false
  }

  sendCustomMessage(platform: string, name: string, content: CustomMessage['content']): boolean {
    return this.#clients.get(platform)?.sendCustomMessage(name, content) ?? false
  }

  #create(platform: string, target: TargetConfig): MessageClient {
    const { onState, ...rest } = this.#options
    const options = { ...rest, ...target, platform, onState: (state: LegacyState) => onState?.(platform, state) }
    return new MessageClient(options, this.#handlers)
  }
}
