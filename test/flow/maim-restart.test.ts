import t from 'tap'
import { world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { ackOf, envelope, maimKeys, openApi, payloadFor } from '../helpers/maim-api.ts'
import { startService } from '../helpers/service.ts'

const KILLS = 3
/** Of those that the receiver hears it acknowledges this share; the others seem to be lost on the way. */
const ACKED = 0.5
const AHEAD = 64

t.test(
  'what was acknowledged to the sender survives kill -9 and reaches the receiver',
  { timeout: 60_000 },
  async (t) => {
    const cwd = makeDirectory(t, { ...world, maim: { keys: maimKeys }, log: { level: 'error' } })
    const acked = new Set<string>()
    const heard = new Set<string>()
    const ids = new Map<string, Set<string>>()
    let count = 0

    for (let round = 1; round <= KILLS; round++) {
      const service = await startService(t, cwd)
      const sender = await openApi(t, service.ws, { key: 'key-one', uuid: 'sender' })
      // In the last round nobody is there.
      const receiver = round < KILLS ? await openApi(t, service.ws, { key: 'key-two' }) : undefined
      receiver?.socket.on('message', (data) => {
        const frame = JSON.parse(String(data))
        if (frame.type !== 'sys_std') return
        note(frame)
        if (Math.random() < ACKED) receiver.send(ackOf(frame))
      })
      const before = acked.size
      const enough = new Promise<void>((resolve) => {
        sender.socket.on('message', (data) => {
          const { type, meta } = JSON.parse(String(data))
          if (type !== 'sys_ack') return
          acked.add(meta.acked_msg_id)
          if (acked.size === before + 500) resolve()
          sendNext()
        })
      })
      const sendNext = (): void => {
        const msgId = `message ${count++}`
        sender.send(envelope(payloadFor('key-two', 'qq', msgId), { msg_id: msgId }))
      }
      for (let index = 0; index < AHEAD; index++) sendNext()
      await enough
      t.match(await service.kill('SIGKILL'), { signal: 'SIGKILL' })
    }

    const service = await startService(t, cwd)
    const receiver = await openApi(t, service.ws, { key: 'key-two' })
    while ([...acked].some((msgId) => !heard.has(msgId))) {
      const frame = await receiver.next()
      note(frame)
      receiver.send(ackOf(frame))
    }
    t.ok(acked.size >= KILLS * 500)
    t.equal([...ids.values()].filter((names) => names.size > 1).length, 0, 'each under one id')

    function note(frame: any): void {
      const words = frame.payload.message_segment.data as string
      heard.add(words)
      ids.set(words, (ids.get(words) ?? new Set()).add(frame.msg_id))
    }
  }
)
