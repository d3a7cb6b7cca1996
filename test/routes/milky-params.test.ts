import t, { type Test } from 'tap'
import { draftActions } from '../../src/protocols/draft-actions.ts'
import { MILKY_ACTIONS } from '../../src/protocols/milky.ts'
import { startApp, type ApiAnswer } from '../helpers/app.ts'
import { apis } from '../helpers/milky-judge.ts'
import {
  DRAFT_LENIENT,
  DRAFT_OPTIONAL,
  NEVER,
  draftCatalogue,
  isOptional,
  milkyCatalogue,
  openStage,
  type Stage
} from '../helpers/milky-catalogue.ts'

interface Dialect {
  readonly catalogue: Readonly<Record<string, (stage: Stage) => Promise<object> | object>>
  readonly isOptional: (api: string, name: string) => boolean
  readonly call: (stage: Stage, api: string, params: object) => Promise<ApiAnswer>
  /** The HTTP status of malformed parameters. */
  readonly invalid: number
}

const dialects: Readonly<Record<string, Dialect>> = {
  'Milky 1.2': {
    catalogue: milkyCatalogue,
    isOptional,
    call: ({ app }, api, params) => app.milky('token-one', api, params),
    invalid: 200
  },
  'the draft': {
    catalogue: draftCatalogue,
    isOptional: (api, name) => DRAFT_OPTIONAL.has(name) || DRAFT_LENIENT.has(`${api} ${name}`),
    call: ({ app }, api, params) => app.call('token-one', api, params),
    invalid: 400
  }
}

function works(t: Test, api: string, answer: ApiAnswer, how: string): void {
  const what = `${api} ${how}: ${answer.message ?? 'ok'}`
  if (NEVER.has(api)) {
    t.match(answer, { http: 200, status: 'failed', message: /session/ }, what)
    t.not(answer.retcode, -400, what)
    return
  }
  t.match(answer, { http: 200, status: 'ok', retcode: 0 }, what)
  t.strictSame(Object.keys(answer), ['http', 'status', 'retcode', 'data'], what)
}

/** Nothing of the kind that is expected there. */
const wrongFor = (value: unknown): unknown => (Array.isArray(value) ? 7 : {})

function without(params: object, name: string): object {
  return Object.fromEntries(Object.entries(params).filter(([key]) => key !== name))
}

t.test('the catalogues hold every action and every parameter', async (t) => {
  t.strictSame(Object.keys(milkyCatalogue), Object.values(MILKY_ACTIONS).flat())
  t.strictSame(Object.keys(draftCatalogue).toSorted(), draftActions.map(({ name }) => name).toSorted())
  const app = await startApp(t)
  const stage = openStage(app)
  for (const [name, valid] of Object.entries(milkyCatalogue)) {
    const schema = apis.get(name)?.requestSchema as { shape?: object } | null | undefined
    t.strictSame(Object.keys(await valid(stage)).toSorted(), Object.keys(schema?.shape ?? {}).toSorted(), name)
  }
})

for (const [title, { catalogue, isOptional: mayLeaveOut, call, invalid }] of Object.entries(dialects)) {
  t.test(title, async (t) => {
    const app = await startApp(t)
    const stage = openStage(app)

    for (const [api, valid] of Object.entries(catalogue)) {
      t.test(api, async (t) => {
        works(t, api, await call(stage, api, await valid(stage)), 'with everything')
        works(t, api, await call(stage, api, { ...(await valid(stage)), unknown_field: [1] }), 'with an unknown field')

        for (const [name, value] of Object.entries(await valid(stage))) {
          const refused = (answer: ApiAnswer, how: string): void => {
            const what = `${api} with ${name} ${how}: ${JSON.stringify(answer)}`
            t.match(answer, { http: invalid, status: 'failed', retcode: -400 }, what)
            t.ok(answer.message?.startsWith(`${name}: expected `), what)
            t.notMatch(answer.message, 'expected a value', what)
          }
          const params = await valid(stage)
          refused(await call(stage, api, { ...params, [name]: wrongFor(value) }), 'of another type')
          if (mayLeaveOut(api, name)) {
            works(t, api, await call(stage, api, { ...(await valid(stage)), [name]: null }), `with ${name} null`)
            works(t, api, await call(stage, api, without(await valid(stage), name)), `without ${name}`)
          } else {
            refused(await call(stage, api, { ...params, [name]: null }), 'null')
            refused(await call(stage, api, without(params, name)), 'missing')
          }
        }
        for (const wrong of ['[]', '7', '"x"', 'null', '{', '{"a":1}}']) {
          const path = invalid === 200 ? `api/${api}` : api
          const response = await fetch(`${app.url}/${path}`, {
            method: 'POST',
            headers: { authorization: 'Bearer token-one', 'content-type': 'application/json' },
            body: wrong
          })
          t.equal(response.status, invalid, wrong)
          t.match(await response.json(), { status: 'failed', retcode: -400, message: /./ }, wrong)
        }
      })
    }
  })
}
