import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Transform, type Readable } from 'node:stream'
import type { Test } from 'tap'

/** A TCP connection as it can be in the world: slow, cut, half open. Stands between a client and a server. */
export interface FaultProxy {
  readonly port: number
  /** `http://127.0.0.1:port` and the like. */
  readonly url: (scheme: 'http' | 'ws') => string
  /** Connections that are open now, and how many there have ever been. */
  readonly open: () => number
  readonly total: () => number
  /** Bytes are held back for so long in each direction; 0 is the default. */
  readonly delay: (ms: number) => void
  /** So many bytes per second in each direction; undefined is as many as come. */
  readonly trickle: (bytesPerS: number | undefined) => void
  /** From now on nothing passes and nothing is closed, as when a cable is pulled: what is open, and what is opened then. */
  readonly halfOpen: () => void
  /** Bytes that went nowhere while it was half open. */
  readonly swallowed: () => number
  /** Passes again; what was swallowed stays lost, so connections from before are best cut. */
  readonly heal: () => void
  /** Ends every connection with a reset. */
  readonly cut: () => void
  /** New connections are refused until `accept`. */
  readonly refuse: () => Promise<void>
  readonly accept: () => Promise<void>
  /** Sees what passes and says what becomes of it; undefined drops it. For frames that fit into one piece. */
  readonly filter: (pass: ((chunk: Buffer, to: 'server' | 'client') => Buffer | undefined) | undefined) => void
}

interface Link {
  readonly client: Socket
  readonly server: Socket
}

/** A proxy to a port of this machine on a free port; gone when the test ends. */
export async function startProxy(t: Test, targetPort: number): Promise<FaultProxy> {
  const links = new Set<Link>()
  let total = 0
  let delayMs = 0
  let rate: number | undefined
  let isHalfOpen = false
  let swallowed = 0
  let pass: ((chunk: Buffer, to: 'server' | 'client') => Buffer | undefined) | undefined

  const listener = createServer({ allowHalfOpen: true }, (client) => {
    total++
    const server = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true })
    const link = { client, server }
    links.add(link)
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      socket.on('error', () => drop(link))
      socket.on('close', () => drop(link))
    }
    carry(client, server, 'server')
    carry(server, client, 'client')
  })

  /** A side that goes is not told to the other while the cable is pulled. */
  function drop(link: Link): void {
    if (isHalfOpen || !links.delete(link)) return
    link.client.destroy()
    link.server.destroy()
  }

  function carry(from: Readable, to: Socket, direction: 'server' | 'client'): void {
    const pipe = new Transform({
      highWaterMark: 16_384,
      transform(chunk: Buffer, _encoding, done) {
        if (isHalfOpen) {
          swallowed += chunk.length
          return done()
        }
        const passed = pass ? pass(chunk, direction) : chunk
        if (!passed) return done()
        if (rate === undefined && delayMs === 0) return done(undefined, passed)
        void slowly(passed, this).then(() => done(), done)
      }
    })
    pipe.on('error', () => {})
    from.pipe(pipe)
    // Not `pipe`, which would end the other side in silence while the cable is pulled.
    pipe.on('data', (chunk: Buffer) => {
      if (!to.write(chunk)) {
        pipe.pause()
        to.once('drain', () => pipe.resume())
      }
    })
    pipe.on('end', () => !isHalfOpen && to.end())
  }

  async function slowly(chunk: Buffer, out: Transform): Promise<void> {
    if (delayMs > 0) await later(delayMs)
    for (let at = 0; at < chunk.length && !isHalfOpen;) {
      const share = rate === undefined ? chunk.length : Math.max(1, Math.ceil(rate / 20))
      out.push(chunk.subarray(at, at + share))
      at += share
      if (rate !== undefined) await later((share / rate) * 1000)
    }
  }

  const listen = async (port: number): Promise<void> => {
    listener.listen(port, '127.0.0.1')
    await once(listener, 'listening')
  }
  await listen(0)
  const { port } = listener.address() as AddressInfo
  const cut = (): void => {
    const open = [...links]
    links.clear()
    for (const { client, server } of open) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
  }
  t.teardown(async () => {
    isHalfOpen = false
    cut()
    await new Promise((resolve) => listener.close(resolve))
  })

  return {
    port,
    url: (scheme) => `${scheme}://127.0.0.1:${port}`,
    open: () => links.size,
    total: () => total,
    delay: (ms) => void (delayMs = ms),
    trickle: (bytesPerS) => void (rate = bytesPerS),
    halfOpen: () => void (isHalfOpen = true),
    swallowed: () => swallowed,
    heal: () => void (isHalfOpen = false),
    cut,
    async refuse() {
      cut()
      await new Promise((resolve) => listener.close(resolve))
    },
    accept: () => listen(port),
    filter: (next) => void (pass = next)
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
