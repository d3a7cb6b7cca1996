import type { Test } from 'tap'
import { cases } from '../conformance/cases.ts'
import type { Case } from '../conformance/case.ts'
import { runCase, type CaseRun } from '../conformance/run.ts'
import { startApp, world } from '../helpers/app.ts'
import { dialRaw, startRawServer, type RawPeer } from '../helpers/raw-peer.ts'
import { fault } from './lab/fault.ts'

const MANY = 1_000_000
/** Nothing that is counted shall get in the way. */
const LIMITS = {
  http_rate: MANY,
  upgrade_rate: MANY,
  frame_rate: MANY,
  im_user_connects: MANY,
  im_address_connects: MANY,
  im_connections: 1000
}

/** Cases that every socket answers alike, whatever is spoken on it. */
const faults = cases.filter(({ expect: [only, ...more] }) => {
  return more.length === 0 && only?.kind === 'close' && (only.code === 1002 || only.code === 1007)
})

const LINKS = ['v1', 'api', 'legacy'] as const

fault({
  number: 29,
  title: 'RFC 6455, as the Autobahn suite asks for it',
  mark: 'Own conformance suite for Autobahn groups 1–7, 9, 10: 100 % of non-informational cases, as server *and* as reverse client.',
  fullMs: 240_000,
  async run({ t, isFull, figure }) {
    const chosen = cases.filter(({ isLarge }) => isFull || !isLarge)
    const rounds = isFull ? {} : { rounds: 20 }
    const runOf = (kase: Case): CaseRun => (kase.rounds === undefined ? {} : rounds)
    const server = await startRawServer(t)
    const target = (path: string): string => `${server.url}${path}`
    const app = await startApp(t, {
      config: {
        limits: LIMITS,
        maim: { keys: [{ api_key: 'key-one', account: 10001 }], legacy_tokens: ['legacy-one'] },
        bots: [
          world.bots[0],
          {
            ...world.bots[1],
            reverse_ws: [
              ...chosen.map(({ id }) => ({ url: target(`/draft/${id}`) })),
              ...faults.map(({ id }) => ({ url: target(`/v1/${id}`), format: 'v1' }))
            ],
            maim: faults.flatMap(({ id }) => [
              { url: target(`/api/${id}`), mode: 'api-server', platform: id, api_key: 'k' },
              { url: target(`/legacy/${id}`), mode: 'legacy', platform: id }
            ])
          }
        ]
      }
    })

    const asServer = await runAll(t, 'as server', chosen, async (kase) =>
      runCase(await dialRaw(t, `${app.ws}/?access_token=token-two`), kase, runOf(kase))
    )
    const asClient = await runAll(t, 'as reverse client', chosen, async (kase) =>
      runCase(await server.next(`/draft/${kase.id}`), kase, { isDialled: true, ...runOf(kase) })
    )
    figure('cases', chosen.length, { atLeast: isFull ? 290 : 250 })
    figure('failed as server', asServer, { is: 0 })
    figure('failed as reverse client', asClient, { is: 0 })

    const token = await app.signIn('alice', 'alice-secret')
    const doors: Record<string, (kase: Case) => Promise<RawPeer>> = {
      '/event': () => dialRaw(t, `${app.ws}/event?access_token=token-two`),
      '/ws': () => dialRaw(t, `${app.ws}/ws?token=${token}`),
      '/im/ws': () => dialRaw(t, `${app.ws}/im/ws?token=${token}`),
      '/maim/ws': () => dialRaw(t, `${app.ws}/maim/ws?api_key=key-one&platform=x`),
      '/maim/legacy/ws': ({ id }) =>
        dialRaw(t, `${app.ws}/maim/legacy/ws`, { headers: { platform: id, authorization: 'legacy-one' } })
    }
    let elsewhere = 0
    for (const [door, dial] of Object.entries(doors)) {
      const play = async (kase: Case): Promise<string | undefined> => runCase(await dial(kase), kase, { isNoisy: true })
      elsewhere += await runAll(t, `at ${door}`, faults, play)
    }
    for (const link of LINKS) {
      const run = { isNoisy: true, isDialled: true }
      elsewhere += await runAll(t, `dialled, ${link}`, faults, async (kase) =>
        runCase(await server.next(`/${link}/${kase.id}`), kase, run)
      )
    }
    figure('failed at other doors and links', elsewhere, { is: 0 })
    t.equal((await app.call('token-two', 'get_login_info')).status, 'ok', 'the gateway goes on')
  }
})

/** How many went wrong; each is told. */
async function runAll(
  t: Test,
  where: string,
  list: readonly Case[],
  play: (kase: Case) => Promise<string | undefined>
): Promise<number> {
  let failed = 0
  for (const kase of list) {
    const wrong = await play(kase)
    if (wrong === undefined) continue
    failed++
    t.comment(`${where}, ${kase.id} ${kase.title}: ${wrong}`)
  }
  return failed
}
