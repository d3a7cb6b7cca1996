import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { bearerToken, isAddressedHere, isForeignOrigin, queryTokens, type IdentifyBot } from '../plugins/auth.ts'
import type { Config } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { watchAccess } from '../src/net/access.ts'
import { CLOSE } from '../src/net/close-codes.ts'
import { createConnection } from '../src/net/connection.ts'
import { isOwnMessage, serveCalls } from '../src/net/serve.ts'
import { createDraftSocketCodec } from '../src/protocols/milky-draft.ts'
import { createId } from '../src/secrets.ts'

export interface MilkySocketOptions {
  readonly gateway: Gateway
  readonly identifyBot: IdentifyBot
  readonly config: Config
  /** Answers a visitor of `/` who did not ask for a WebSocket. */
  readonly frontPage: RouteHandlerMethod
}

/** Milky draft over WebSocket: calls and events on one socket at `/` (contract 1.3). Without an upgrade: a page that names the doors. */
export async function milkySocket(
  app: FastifyInstance,
  { gateway, identifyBot, config, frontPage }: MilkySocketOptions
): Promise<void> {
  const { limits } = config
  const codec = createDraftSocketCodec()
  const access = watchAccess({ store: gateway.store, onError: gateway.onError })
  const selfReporters = new Set(config.bots.filter((bot) => bot.report_self).map((bot) => bot.id))

  /** Decided in the handshake: a client whose token is wrong is never let in to be thrown out. */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (!request.ws) return
    const tokens = tokensOf(request)
    const identity = await identifyBot(tokens)
    // Bots that come back all at once after a restart are known; only strangers have to be patient.
    const wait =
      typeof identity === 'object'
        ? await app.budgets.http(request, `bot ${identity.accountId}`)
        : await app.budgets.upgrade(request)
    if (wait !== undefined)
      return refuse(reply.header('retry-after', wait), 429, `too many connections; try again in ${wait} s`)
    if (identity === 'missing') return refuse(reply, 401, 'no access token: connect to /?access_token=<access_token>')
    if (identity === 'wrong') return refuse(reply, 403, 'this access token is not known')
    if (identity.isOpen && !isAddressedHere(request))
      return refuse(reply, 403, 'without an access token this bot is only for this machine: connect to localhost')
    // Without a token, any page that a person opens could speak for the bot.
    if (identity.isOpen && isForeignOrigin(request, config.server.allowed_origins))
      return refuse(reply, 403, 'this origin is not allowed')
    request.botId = identity.accountId
  }

  /** Whoever came in with a token that is worth nothing any more has to leave. */
  async function mayStay(request: FastifyRequest): Promise<boolean> {
    const identity = await identifyBot(tokensOf(request))
    if (typeof identity !== 'object' || identity.accountId !== request.botId) return false
    const account = await gateway.store.findAccount(identity.accountId)
    return account !== undefined && !account.isDisabled
  }

  app.decorateRequest('botId', 0)
  app.addHook('onClose', async () => access.close())

  app.route({
    method: 'GET',
    url: '/',
    onRequest: admit,
    config: { maxFrame: limits.milky_frame },
    handler: frontPage,
    wsHandler(socket, request) {
      const accountId = request.botId
      const reportsSelf = selfReporters.has(accountId)
      const log = gateway.log.child({ door: 'milky-draft', bot: accountId })
      const connection = createConnection({
        socket,
        stream: request.raw.socket,
        maxQueuedBytes: limits.connection_buffer,
        onError: (err) => log.debug({ err }, 'socket error'),
        onSlow: () => log.warn('the bot reads too slowly, its socket is closed')
      })
      const deviceId = createId()
      const detach = gateway.hub.attach({
        viewerId: accountId,
        deviceId,
        receive(event, frameOf) {
          if (!reportsSelf && isOwnMessage(event, accountId)) return
          const frame = frameOf(codec, accountId)
          if (frame) connection.send(frame)
        }
      })
      const leave = gateway.devices.add({ id: deviceId, accountId, kind: 'bot' })
      gateway.heartbeat.watch(socket)
      const unwatch = access.watch({
        mayStay: () => mayStay(request),
        end: () => connection.close(CLOSE.unauthenticated)
      })
      const serving = serveCalls({
        socket,
        connection,
        codec,
        dispatcher: gateway.draft,
        accountId,
        deviceId,
        frameRate: limits.frame_rate,
        onError: gateway.onError
      })
      app.farewells.set(socket, serving.finish)
      log.info('bot connected')
      socket.once('close', (code: number) => {
        app.farewells.delete(socket)
        detach()
        leave()
        unwatch()
        log.info({ code }, 'bot disconnected')
      })
    }
  })
}

/** The query is the draft's way, the header is for programs that can. */
function tokensOf(request: FastifyRequest): string[] {
  const token = bearerToken(request)
  return [...queryTokens(request, 'access_token'), ...(token === undefined ? [] : [token])]
}

function refuse(reply: FastifyReply, status: number, message: string): void {
  void reply.code(status).send({ status: 'failed', retcode: -status, message })
}
