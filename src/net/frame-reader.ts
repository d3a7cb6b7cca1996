import type { WebSocket } from 'ws'

export interface FrameReaderOptions {
  readonly socket: WebSocket
  /** True once we have ended it: what still comes may be from somebody who is no longer let in. */
  readonly isEnded: () => boolean
  /** The next frame waits until this one is done. Must not reject. */
  readonly handle: (text: string) => Promise<void>
  readonly onBinary: () => void
}

/** Order needs a queue, and a queue needs an end: what does not fit stays in the network. */
const MAX_WAITING = 16

/** Reads text frames one after the other, so that what each sender says stays in its order (IM-Suite 2.2). */
export function readFrames({ socket, isEnded, handle, onBinary }: FrameReaderOptions): void {
  let previous = Promise.resolve()
  let waiting = 0

  socket.on('message', (data, isBinary) => {
    if (isEnded()) return
    if (isBinary) return onBinary()
    const text = String(data)
    if (++waiting === MAX_WAITING) socket.pause()
    previous = previous
      .then(() => (isEnded() ? undefined : handle(text)))
      .finally(() => {
        if (waiting-- === MAX_WAITING) socket.resume()
      })
  })
}
