import fc from 'fast-check'
import t from 'tap'
import { draftActions } from '../../src/protocols/draft-actions.ts'
import { MILKY_EXTENSIONS } from '../../src/protocols/milky.ts'
import { startApp } from '../helpers/app.ts'
import { DOCUMENT, PICTURE, openStage } from '../helpers/milky-catalogue.ts'
import { apis } from '../helpers/milky-judge.ts'

/** How long it is tried; a suspicion is worth more than this. */
const TIME_MS = Number(process.env.LACTEA_TEST_NONSENSE_MS ?? 1500)

/** The parameters of each call, by door and name. */
const calls = new Map<string, readonly string[]>([
  ...[...apis].map(([name, { requestSchema }]): [string, string[]] => [
    `api/${name}`,
    Object.keys((requestSchema as { shape?: object } | null)?.shape ?? {})
  ]),
  ...MILKY_EXTENSIONS.map((name): [string, string[]] => [`api/${name}`, ['user_id', 'group_id', 'comment', 'file_id']]),
  ...draftActions.map(({ name, params }): [string, string[]] => [name, Object.keys(params.properties)])
])

const number = fc.oneof(
  fc.constantFrom(10001, 10002, 10011, 100001, 100002, 1, 0, -1, 2, 1.5, 1e16, 2 ** 53, -0, 4294967296),
  fc.integer(),
  fc.double({ noNaN: true })
)
const words = fc.oneof(
  fc.constantFrom(
    '',
    '/',
    '*',
    '1',
    '0',
    '10002',
    '10011',
    'face',
    'emoji',
    'group',
    'friend',
    'join_request',
    '128077'
  ),
  fc.constantFrom(
    PICTURE,
    DOCUMENT,
    'base64://',
    'file:///etc/passwd',
    'http://127.0.0.1:1/',
    'https://[::1]/',
    'x://'
  ),
  fc.constantFrom(
    'Group:100001:1',
    'Private:10002:1',
    'Friend:10011',
    'Join:100001:1',
    'Invitation:100001:1',
    '__proto__'
  ),
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.toWellFormed())
)
const plain = fc.oneof(number, words, fc.boolean(), fc.constant(null))
const { segment } = fc.letrec((tie) => ({
  segment: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      type: fc.constantFrom(
        'text',
        'mention',
        'at',
        'mention_all',
        'face',
        'reply',
        'image',
        'record',
        'video',
        'light_app'
      ),
      data: fc.dictionary(
        fc.constantFrom('text', 'user_id', 'face_id', 'message_seq', 'message_id', 'uri', 'sub_type', 'json_payload'),
        plain
      )
    }),
    fc.record({
      type: fc.constant('forward'),
      data: fc.record({
        messages: fc.array(
          fc.record(
            { user_id: number, sender_name: words, name: words, segments: fc.array(tie('segment'), { maxLength: 3 }) },
            { requiredKeys: ['segments'] }
          ),
          { maxLength: 3 }
        )
      })
    })
  )
}))
const value = fc.oneof(plain, plain, fc.array(segment, { maxLength: 4 }), fc.jsonValue({ maxDepth: 3 }))
const message = fc.array(segment, { maxLength: 4 })

const RIGHT: Readonly<Record<string, readonly unknown[]>> = {
  group_id: [100001],
  user_id: [10001, 10002, 10011],
  peer_id: [10001, 10002, 100001],
  message_scene: ['friend', 'group', 'temp'],
  message_seq: [1, 2, 3],
  message_id: ['Group:100001:1', 'Group:100001:2', 'Private:10001:1', 'Private:10002:1'],
  file_uri: [DOCUMENT],
  image_uri: [PICTURE],
  uri: [PICTURE],
  file_id: ['1', '2', '3'],
  folder_id: ['1', '2'],
  parent_folder_id: ['/', '1'],
  target_folder_id: ['/', '1']
}

/** Mostly what is right, or of the kind that is expected there, so that calls get far. */
function valueOf(name: string): fc.Arbitrary<unknown> {
  if (name === 'message') return fc.oneof({ weight: 5, arbitrary: message }, { weight: 1, arbitrary: value })
  const likely = /^(is|no|reject)_/.test(name)
    ? fc.boolean()
    : /(_id|_seq|limit|count|index|size)$/.test(name)
      ? number
      : words
  const right = RIGHT[name]
  if (right)
    return fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...right) },
      { weight: 1, arbitrary: likely },
      { weight: 1, arbitrary: value }
    )
  return fc.oneof({ weight: 4, arbitrary: likely }, { weight: 1, arbitrary: words }, { weight: 1, arbitrary: value })
}

// After these two bots would have nothing to do with each other any more.
for (const name of ['quit_group', 'kick_group_member', 'delete_friend']) {
  calls.delete(name)
  calls.delete(`api/${name}`)
}

const call = fc.constantFrom(...calls).chain(([path, names]) =>
  fc.record({
    path: fc.constant(path),
    token: fc.constantFrom('token-one', 'token-two'),
    params: fc.oneof(
      { weight: 4, arbitrary: fc.record(Object.fromEntries(names.map((name) => [name, valueOf(name)]))) },
      {
        weight: 1,
        arbitrary: fc.record(Object.fromEntries(names.map((name) => [name, valueOf(name)])), { requiredKeys: [] })
      }
    )
  })
)

t.test('whatever bots ask for is answered in the one form, and is never a mistake of ours', async (t) => {
  const app = await startApp(t)
  const { act } = openStage(app)
  await act(10001, 'send_group_message', { group_id: 100001, message: [{ type: 'text', data: { text: 'first' } }] })
  let count = 0
  const worked = new Set<string>()
  await fc.assert(
    fc.asyncProperty(call, async ({ token, path, params }) => {
      count++
      const response = await fetch(`${app.url}/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(params)
      })
      const answer = (await response.json()) as { status: string; retcode: number; message?: string; data?: object }
      const isWell =
        answer.status === 'ok'
          ? response.status === 200 && answer.retcode === 0 && typeof answer.data === 'object'
          : answer.retcode < 0 && answer.retcode !== -500 && (answer.message ?? '') !== ''
      if (answer.status === 'ok') worked.add(path)
      if (!isWell) throw new Error(`${path} ${JSON.stringify(params)}: ${JSON.stringify(answer)}`)
    }),
    {
      numRuns: 1_000_000,
      interruptAfterTimeLimit: TIME_MS,
      markInterruptAsFailure: false,
      skipAllAfterTimeLimit: TIME_MS * 4
    }
  )
  t.comment(`${count} calls, ${worked.size} of ${calls.size} worked at least once`)
  t.ok(count > 10, `${count} calls`)
  t.match(await app.milky('token-one', 'get_login_info'), { status: 'ok' }, 'the gateway lives')
})
