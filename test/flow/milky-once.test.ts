import t from 'tap'
import type { Dispatcher } from '../../src/core/dispatcher.ts'
import { startApp } from '../helpers/app.ts'
import { draftCatalogue, milkyCatalogue, NEVER, one, openStage } from '../helpers/milky-catalogue.ts'

/** They change nothing that is kept. */
const WITHOUT_EFFECT = new Set(['set_typing', 'persist_group_file', ...NEVER])

for (const [dialect, catalogue] of Object.entries({ milky: milkyCatalogue, draft: draftCatalogue }))
  t.test(`every action of ${dialect} that has an effect has it once under one key`, async (t) => {
    const app = await startApp(t)
    const stage = openStage(app)
    const { store, [dialect as 'milky' | 'draft']: dispatcher } = app.lactea.gateway
    const ask = (name: string, params: object): ReturnType<Dispatcher['dispatch']> =>
      dispatcher.dispatch(name, params, { accountId: one, idempotencyKey: `key of ${name}` })

    for (const [name, prepare] of Object.entries(catalogue)) {
      if (name.startsWith('get_') || WITHOUT_EFFECT.has(name)) continue
      const params = await prepare(stage)
      const first = await ask(name, params)
      t.match(first, { ok: true, isReplay: undefined }, `${name} is done`)
      const effect = await store.findEffect(one, `key of ${name}`, 0)
      t.strictSame(effect?.answer, first.ok && first.data, `${name}: what was written with the effect is the answer`)
      const events = await store.lastEventId()
      t.strictSame(await ask(name, params), { ...first, isReplay: true }, `${name} is not done again`)
      t.equal(await store.lastEventId(), events, `${name}: nobody hears of it again`)
    }
  })
