import { globSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { startService, type Service } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { readKept } from './lab/database.ts'
import { mountDisk, whyNoDisk } from './lab/disk.ts'
import { fault } from './lab/fault.ts'

const DISK_MIB = 8
/** What stands in the way, and is taken away later. */
const BALLAST_BYTES = 3 * 1024 * 1024
const NO_SPACE = -507
const SPEAKERS = 8

fault({
  number: 4,
  title: 'the disk is full',
  mark: 'Disk full (8 MB tmpfs) while sending: 507/`retcode` error in ≤ 1 s, process alive, 0 half rows, works ≤ 5 s after space returns, `integrity_check` ok',
  skip: whyNoDisk(),
  // On a busy machine the disk is not full at the moment that is looked at; test/store tries it step by step.
  isLong: true,
  async run({ t, size, figure }) {
    const dir = makeDirectory(t, { ...world, log: { level: 'info' } })
    const data = join(dir, 'data')
    mountDisk(t, data, DISK_MIB)
    writeFileSync(join(data, 'ballast'), Buffer.alloc(BALLAST_BYTES, 'x'))
    const service = await startService(t, dir)
    const alice = await signIn(service)

    const accepted: string[] = []
    const refused: { words: string; retcode: number; ms: number }[] = []
    let [sent, isOver] = [0, false]
    async function speak(): Promise<void> {
      while (!isOver) {
        const words = `${sent++} ${'x'.repeat(4000)}`
        const { retcode, ms } = await say(service, words)
        if (retcode === 0) accepted.push(words)
        else refused.push({ words, retcode, ms })
        // So that a full disk is met again and again, not only as often as the machine can.
        if (retcode !== 0) await delay(10)
      }
    }
    const speaking = Promise.all(Array.from({ length: SPEAKERS }, speak))
    await waitFor(() => refused.length > 0, 'the disk to be full')
    await delay(size(1000, 10_000))

    const upload = await uploadAs(service, alice)
    t.match(upload, { status: 507, code: 'SERVICE_UNAVAILABLE' })
    t.strictSame(globSync(join(data, 'files', 'incoming', '*')), [], 'nothing of an upload is left')
    t.equal((await fetch(`${service.url}/live`)).status, 200)
    const ready = await fetch(`${service.url}/ready`)
    t.match([ready.status, await ready.json()], [503, { reason: /the disk is full/ }])
    t.match(await say(service, '', 'get_login_info'), { retcode: 0 }, 'reading goes on')
    const isFull = (): number => service.log().split('the database cannot be written').length - 1
    const told = isFull()

    rmSync(join(data, 'ballast'))
    const returnedAt = performance.now()
    const before = accepted.length
    await waitFor(() => accepted.length > before, 'a message that is accepted again')
    const worksAfterMs = performance.now() - returnedAt
    await waitFor(async () => (await fetch(`${service.url}/ready`)).status === 200, 'the gateway to be ready')
    isOver = true
    await speaking
    await service.kill('SIGTERM')

    const kept = readKept(join(data, 'lactea.db'))
    const odd = refused.filter(({ retcode }) => retcode !== NO_SPACE)
    figure('refused sends', refused.length, { atLeast: 1 })
    figure('of them with another code than that of a full disk', odd.length, { is: 0 })
    if (odd.length > 0) t.comment(`other codes: ${[...new Set(odd.map(({ retcode }) => retcode))].join(', ')}`)
    figure('slowest refusal', Math.max(...refused.map(({ ms }) => ms)), { atMost: 1000, unit: 'ms', isTimed: true })
    figure('accepted and missing', accepted.filter((words) => !kept.words.has(words)).length, { is: 0 })
    figure('refused and there', refused.filter(({ words }) => kept.words.has(words)).length, { is: 0 })
    figure('half rows', kept.halves, { is: 0 })
    figure('integrity_check is ok', Number(kept.integrity === 'ok'), { is: 1 })
    figure('works again after', worksAfterMs, { atMost: 5000, unit: 'ms', isTimed: true })
    figure('lines in the log that say so', told, { is: 1 })
  }
})

async function say(
  { url }: Service,
  words: string,
  api = 'send_group_message'
): Promise<{ retcode: number; ms: number }> {
  const startedAt = performance.now()
  const params =
    api === 'get_login_info' ? {} : { group_id: 100001, message: [{ type: 'text', data: { text: words } }] }
  const response = await fetch(`${url}/${api}`, {
    method: 'POST',
    headers: { authorization: 'Bearer token-one', 'content-type': 'application/json' },
    body: JSON.stringify(params)
  })
  const { retcode } = (await response.json()) as { retcode: number }
  return { retcode, ms: performance.now() - startedAt }
}

async function signIn({ url }: Service): Promise<string> {
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'alice', password: 'alice-secret' })
  })
  return ((await response.json()) as { token: string }).token
}

async function uploadAs({ url }: Service, token: string): Promise<{ status: number; code: string }> {
  const form = new FormData()
  form.set('file', new Blob([Buffer.alloc(2 * 1024 * 1024, 'y')]), 'large.txt')
  const response = await fetch(`${url}/api/files/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: form
  })
  const { code, error_code } = (await response.json()) as { code?: string; error_code?: string }
  return { status: response.status, code: error_code ?? code ?? '' }
}
