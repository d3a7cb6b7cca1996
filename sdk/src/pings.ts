import { WebSocket } from 'ws'

export interface PingOptions {
  readonly socket: WebSocket
  /** From one ping to the next. */
  readonly intervalMs: number
  /** How long the answer to one may take. */
  readonly timeoutMs: number
  /** Bytes that have come so far: while a large frame is on its way, no pong can come between its bytes. */
  readonly bytesRead?: () => number
  /** Called once: the peer has answered nothing. */
  readonly onSilent: () => void
}

/** The wait for an answer is cut into as many parts: of what a blocked event loop has lost, only one counts. */
const PARTS = 4

/** Pings a socket from now until it closes. */
export function startPings({ socket, intervalMs, timeoutMs, bytesRead = () => 0, onSilent }: PingOptions): void {
  let deadline: NodeJS.Timeout | undefined
  let readAtPing = 0
  let partsLeft = 0

  function wait(): void {
    partsLeft = PARTS
    deadline = setTimeout(look, timeoutMs / PARTS)
  }

  function look(): void {
    if (--partsLeft > 0) return void (deadline = setTimeout(look, timeoutMs / PARTS))
    // What had arrived by now is read first.
    setImmediate(judge, deadline)
  }

  function judge(asked: NodeJS.Timeout | undefined): void {
    if (!asked || deadline !== asked) return
    deadline = undefined
    const read = bytesRead()
    if (read === readAtPing) return onSilent()
    readAtPing = read
    wait()
  }

  const timer = setInterval(() => {
    if (socket.readyState !== WebSocket.OPEN || deadline) return
    readAtPing = bytesRead()
    socket.ping()
    wait()
  }, intervalMs)

  function forget(): void {
    clearTimeout(deadline)
    deadline = undefined
  }

  socket.on('pong', forget)
  socket.once('close', () => {
    clearInterval(timer)
    forget()
  })
}
