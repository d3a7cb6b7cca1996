/** What went over the sockets. */
export interface NetworkStats {
  /** Connections there have been, those that are there now among them. */
  readonly totalConnections: number
  /** Connections that are open. */
  readonly currentConnections: number
  /** Messages that came, each repeat among them; without acknowledgements. */
  readonly messagesReceived: number
  /** Messages that were handed to a socket, each connection and each repeat counted; without acknowledgements. */
  readonly messagesSent: number
  /** Bytes of text in frames of every kind that came. */
  readonly bytesReceived: number
  /** Bytes of text in frames of every kind that were handed to a socket. */
  readonly bytesSent: number
}

interface CommonStats {
  /** Calls of `onMessage`. */
  readonly messagesProcessed: number
  /** Calls of custom handlers. */
  readonly customMessagesProcessed: number
  /** Handlers whose promise is open. */
  readonly activeHandlerTasks: number
  /** Messages that came again; they are acknowledged, and not handled again. */
  readonly duplicateMessagesIgnored: number
  /** Messages that wait for an acknowledgement. */
  readonly cachedMessages: number
  /** Times that a message was sent again because nobody had acknowledged it. */
  readonly messagesRepeated: number
  /** Messages that were given up: too old, too many, too big for the other side, or never acknowledged. */
  readonly messagesDropped: number
}

/** What a server has seen since it was made. */
export interface ServerStats extends CommonStats {
  /** Handshakes that were looked at. */
  readonly totalAuthRequests: number
  readonly successfulAuths: number
  readonly failedAuths: number
  /** Users with an open connection. */
  readonly currentUsers: number
  readonly currentConnections: number
  readonly network: NetworkStats
}

/** What a client has seen since it was made, over all its connections. */
export interface ClientStats extends CommonStats {
  /** Times that a server was dialled. */
  readonly connectAttempts: number
  readonly successfulConnects: number
  readonly failedConnects: number
  /** Times that a server was dialled again by itself. */
  readonly reconnectAttempts: number
  /** The same as in `network`. */
  readonly messagesReceived: number
  /** The same as in `network`. */
  readonly messagesSent: number
  /** The `x-uuid` of the main connection. */
  readonly connectionUuid: string
  /** Whether the main connection is open. */
  readonly connected: boolean
  /** Why the last try or connection of any kind ended; undefined while nothing went wrong. */
  readonly lastError: string | undefined
  /** Connections that are open. */
  readonly connectedCount: number
  readonly network: NetworkStats & { readonly reconnectAttempts: number }
}

/** The counters behind both, in plain numbers. */
export interface Counters {
  totalConnections: number
  envelopesReceived: number
  framesSent: number
  acksReceived: number
  acksSent: number
  bytesReceived: number
  bytesSent: number
  messagesProcessed: number
  customMessagesProcessed: number
  activeHandlerTasks: number
  duplicateMessagesIgnored: number
  messagesRepeated: number
  messagesDropped: number
}

export function createCounters(): Counters {
  return {
    totalConnections: 0,
    envelopesReceived: 0,
    framesSent: 0,
    acksReceived: 0,
    acksSent: 0,
    bytesReceived: 0,
    bytesSent: 0,
    messagesProcessed: 0,
    customMessagesProcessed: 0,
    activeHandlerTasks: 0,
    duplicateMessagesIgnored: 0,
    messagesRepeated: 0,
    messagesDropped: 0
  }
}

export function toNetworkStats(counters: Counters, currentConnections: number): NetworkStats {
  return {
    totalConnections: counters.totalConnections,
    currentConnections,
    messagesReceived: counters.envelopesReceived - counters.acksReceived,
    messagesSent: counters.framesSent - counters.acksSent,
    bytesReceived: counters.bytesReceived,
    bytesSent: counters.bytesSent
  }
}

export function toCommonStats(counters: Counters, cachedMessages: number): CommonStats {
  const { messagesProcessed, customMessagesProcessed, activeHandlerTasks } = counters
  const { duplicateMessagesIgnored, messagesRepeated, messagesDropped } = counters
  return {
    messagesProcessed,
    customMessagesProcessed,
    activeHandlerTasks,
    duplicateMessagesIgnored,
    cachedMessages,
    messagesRepeated,
    messagesDropped
  }
}
