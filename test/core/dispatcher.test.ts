import { Type, type TObject } from '@sinclair/typebox'
import t from 'tap'
import { defineAction, type Action } from '../../src/core/action.ts'
import { createDispatcher, type Dispatcher } from '../../src/core/dispatcher.ts'
import { ActionError } from '../../src/core/errors.ts'
import { compileParams } from '../../src/core/validate.ts'
import { actions } from '../../src/actions/index.ts'
import { OutgoingSegment } from '../../src/schema/segment.ts'
import { Int, Name, Uin } from '../../src/schema/common.ts'
import { createTestClock } from '../helpers/clock.ts'
import { openWorld, who, type World } from './world.ts'

t.test('parameters', async (t) => {
  const schema = Type.Object({
    user_id: Uin,
    seq: Type.Optional(Int),
    name: Type.Optional(Name(5)),
    password: Type.Optional(Type.String()),
    message: Type.Optional(Type.Array(OutgoingSegment))
  })
  const validate = compileParams(schema)

  const accepted = [
    { name: 'as they are', given: { user_id: 1, seq: 0 }, valid: { user_id: 1, seq: 0 } },
    { name: 'with null for absent', given: { user_id: 1, seq: null, name: null }, valid: { user_id: 1 } },
    { name: 'with fields nobody knows', given: { user_id: 1, colour: { deep: [] } }, valid: { user_id: 1 } },
    { name: 'with the largest id', given: { user_id: 2 ** 53 - 1 }, valid: { user_id: 2 ** 53 - 1 } },
    {
      name: 'with a segment that has more than it needs',
      given: { user_id: 1, message: [{ type: 'mention_all', data: null }] },
      valid: { message: [{ type: 'mention_all' }] }
    }
  ]
  for (const { name, given, valid } of accepted)
    t.test(`${name}: accepted`, async (t) => {
      t.match(validate(given), valid)
    })

  const segment = (data: unknown): object => ({ user_id: 1, message: [{ type: 'text', data: { text: 'fine' } }, data] })
  const refused: readonly { given: unknown; field?: string; says: RegExp }[] = [
    { given: null, field: 'user_id', says: /^user_id: expected an id .*, it is missing$/ },
    { given: {}, field: 'user_id', says: /^user_id: expected an id .*, it is missing$/ },
    { given: { user_id: null }, field: 'user_id', says: /^user_id: .*missing/ },
    { given: { user_id: '1' }, field: 'user_id', says: /^user_id: expected an id .*, got "1"$/ },
    { given: { user_id: 1.5 }, field: 'user_id', says: /got 1\.5$/ },
    { given: { user_id: 0 }, field: 'user_id', says: /got 0$/ },
    { given: { user_id: -1 }, field: 'user_id', says: /got -1$/ },
    { given: JSON.parse('{"user_id":9007199254740993}'), field: 'user_id', says: /an integer from 1 to 2\^53-1/ },
    { given: JSON.parse('{"user_id":1e400}'), field: 'user_id', says: /got Infinity$/ },
    { given: { user_id: true }, field: 'user_id', says: /got true$/ },
    { given: { user_id: [1] }, field: 'user_id', says: /got an array$/ },
    { given: { user_id: { secret: 's' } }, field: 'user_id', says: /got an object$/ },
    { given: { user_id: 1, seq: -1 }, field: 'seq', says: /^seq: expected an integer from 0 to 2\^53-1, got -1$/ },
    { given: { user_id: 1, name: '' }, field: 'name', says: /^name: expected 1 to 5 characters .*, got ""$/ },
    { given: { user_id: 1, name: 'a\nb' }, field: 'name', says: /without control characters, got "a\\nb"$/ },
    { given: { user_id: 1, name: 'x'.repeat(5000) }, field: 'name', says: /got a string of 5000 characters$/ },
    { given: segment({ type: 'text', data: { text: 5 } }), field: 'message.1.data.text', says: /a string, got 5$/ },
    { given: segment({ type: 'text' }), field: 'message.1', says: /expected a segment .*, got an object$/ },
    { given: segment({ type: 'wave', data: {} }), field: 'message.1', says: /with type text, mention/ },
    { given: segment('text'), field: 'message.1', says: /got "text"$/ },
    { given: { user_id: 1, message: 'text' }, field: 'message', says: /^message: expected array, got "text"$/ },
    { given: 'user_id=1', says: /^the parameters must be a JSON object, got "user_id=1"$/ },
    { given: 5, says: /^the parameters must be a JSON object, got 5$/ },
    { given: [], says: /^the parameters must be a JSON object, got an array$/ }
  ]
  for (const { given, field, says } of refused) {
    t.test(`${JSON.stringify(given)?.slice(0, 60)}: names ${field ?? 'the whole'} and what was expected`, async (t) => {
      const err = errorOf(() => validate(given))
      t.equal(err?.reason, 'invalid')
      t.equal(err?.details.field, field)
      t.match(err?.message, says)
      t.ok((err?.message.length ?? 0) < 250)
    })
  }

  t.test('a password that is wrong is not repeated', async (t) => {
    const secrets = Type.Object({ password: Type.String({ minLength: 20 }), refresh_token: Type.Number() })
    for (const given of [
      { password: 'hunter2', refresh_token: 1 },
      { password: 'x'.repeat(20), refresh_token: 'hunter2' }
    ]) {
      const err = errorOf(() => compileParams(secrets)(given))
      t.match(err?.message, /got something else$/)
      t.notMatch(err?.message, /hunter2/)
    }
  })

  t.test('names of an object’s own machinery are fields like any other', async (t) => {
    const given = JSON.parse('{"user_id":1,"seq":null,"__proto__":{"admin":true},"constructor":null}')
    t.match(validate(given), { user_id: 1 })
    t.equal(({} as { admin?: boolean }).admin, undefined)
  })
})

t.test('a call', async (t) => {
  t.test('gives the result of the action', async (t) => {
    const { dispatch } = await openWorld(t)
    t.strictSame(await dispatch(who.bot, 'get_login_info'), { ok: true, data: { uin: who.bot, nickname: 'bot' } })
  })

  const failures = [
    { name: 'an unknown action', action: 'make_coffee', reason: 'unknown_action' },
    { name: 'a name that every object has', action: 'constructor', reason: 'unknown_action' },
    { name: 'wrong parameters', action: 'quit_group', params: { group_id: 'x' }, reason: 'invalid' },
    { name: 'a rule that refuses', action: 'quit_group', params: { group_id: 5 }, reason: 'not_found' },
    { name: 'an account that never was', action: 'get_login_info', caller: 4242, reason: 'disabled' }
  ]
  for (const { name, action, params, caller = who.bot, reason } of failures) {
    t.test(`${name} is an outcome: ${reason}`, async (t) => {
      const { dispatch } = await openWorld(t)
      t.match(await dispatch(caller, action, params), { ok: false, error: { reason } })
    })
  }

  t.test('a long unknown name is cut', async (t) => {
    const { dispatch } = await openWorld(t)
    const outcome = await dispatch(who.bot, 'x'.repeat(10_000))
    t.ok(!outcome.ok && outcome.error.message.length < 200)
  })

  t.test('of an account that was switched off does nothing, whatever it asks for', async (t) => {
    const { dispatch, accounts, store, chats } = await openWorld(t)
    await accounts.remove(who.member)
    const before = await store.lastEventId()
    const message = [{ type: 'text', data: { text: 'x' } }]
    const calls: readonly [string, object][] = [
      ['get_login_info', {}],
      ['send_group_message', { group_id: 100001, message }],
      ['send_private_message', { user_id: who.owner, message }],
      ['quit_group', { group_id: 100001 }]
    ]
    for (const [action, params] of calls)
      t.match(await dispatch(who.member, action, params), { ok: false, error: { reason: 'disabled' } }, action)
    t.equal(await store.lastEventId(), before)
    t.strictSame(await chats.listMessages(who.owner, { chatId: 100001, limit: 9 }), [])
  })
})

t.test('a mistake in an action', async (t) => {
  const mistakes = [
    { name: 'an error', fail: new TypeError('the secret is 42') },
    { name: 'a thrown word', fail: 'the secret is 42' },
    { name: 'nothing', fail: undefined }
  ]
  for (const { name, fail } of mistakes) {
    t.test(`${name}: is told under an id, without its words, and reported once`, async (t) => {
      const reported: unknown[] = []
      const dispatcher = dispatcherOf(await openWorld(t), [broken(fail)], reported)
      const outcome = await dispatcher.dispatch('break', {}, { accountId: who.bot })
      t.match(outcome, { ok: false, error: { reason: 'internal', details: { requestId: 'id-1' } } })
      t.ok(!outcome.ok && outcome.error.message.includes('id-1') && !outcome.error.message.includes('42'))
      t.strictSame(reported, [[fail, { action: 'break', requestId: 'id-1' }]])
    })
  }

  t.test('what a rule refuses is not reported', async (t) => {
    const reported: unknown[] = []
    const dispatcher = dispatcherOf(await openWorld(t), [broken(new ActionError('muted', 'no'))], reported)
    t.match(await dispatcher.dispatch('break', {}, { accountId: who.bot }), { ok: false, error: { reason: 'muted' } })
    t.strictSame(reported, [])
  })

  t.test('a call after the store was closed is an outcome, too', async (t) => {
    const reported: unknown[] = []
    const world = await openWorld(t)
    const dispatcher = dispatcherOf(world, actions, reported)
    await world.store.close()
    const outcome = await dispatcher.dispatch('get_group_list', {}, { accountId: who.owner })
    t.match(outcome, { ok: false, error: { reason: 'internal' } })
    t.equal(reported.length, 1)
  })
})

t.test('two actions of one name are refused at the start', async (t) => {
  t.throws(
    () =>
      createDispatcher({
        actions: [broken(1), broken(2)],
        context: {} as never,
        onBug() {},
        newId: () => '',
        clock: createTestClock(),
        timeMs: 1000
      }),
    {
      message: 'action break is defined twice'
    }
  )
})

function broken(fail: unknown): Action<TObject, TObject> {
  return defineAction({
    name: 'break',
    params: Type.Object({}),
    result: Type.Object({}),
    async run() {
      throw fail
    }
  })
}

function dispatcherOf(world: World, list: readonly Action[], reported: unknown[]): Dispatcher {
  let count = 0
  return createDispatcher({
    actions: list,
    context: world,
    onBug: (err, bug) => reported.push([err, bug]),
    newId: () => `id-${++count}`,
    clock: world.clock,
    timeMs: 25_000
  })
}

function errorOf(work: () => unknown): ActionError | undefined {
  try {
    work()
    return undefined
  } catch (err) {
    if (err instanceof ActionError) return err
    throw err
  }
}
