import type { RawData, WebSocket } from 'ws'

export interface HeldFrames {
  /** The first frame, as text. */
  readonly first: Promise<string>
  /** Gives what came after the first to whoever listens by now, and holds nothing any more. */
  readonly release: () => void
}

/** Keeps what a socket says until it is known who speaks: the first frame tells, and more may come in one packet with it. */
export function holdFrames(socket: WebSocket): HeldFrames {
  const held: [data: RawData, isBinary: boolean][] = []
  let keep = (_data: RawData, _isBinary: boolean): void => {}
  const first = new Promise<string>((resolve) => {
    keep = (data, isBinary) => {
      if (held.push([data, isBinary]) > 1) return
      // What is not in the same packet waits in the network.
      socket.pause()
      resolve(String(data))
    }
  })
  socket.on('message', keep)

  return {
    first,
    release() {
      socket.off('message', keep)
      for (const message of held.slice(1)) socket.emit('message', ...message)
      socket.resume()
    }
  }
}
