import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { findSpeech } from '../../plugins/speech.ts'
import { LEGACY_CLOSE } from '../../sdk/src/legacy-session.ts'
import { Limits, loadConfig } from '../../src/config.ts'
import { CLOSE } from '../../src/net/close-codes.ts'
import { DEEDS, QUESTIONS } from '../../src/protocols/maim-commands.ts'
import { readSpeech } from '../../src/protocols/maim-hearing.ts'
import { findStranger } from '../../src/protocols/maim-strangers.ts'
import { ACCEPT_FORMAT } from '../../src/protocols/maim-telling.ts'
import { startApp } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { messageFor } from '../helpers/maim-peer.ts'
import { openSocket } from '../helpers/socket.ts'
import { blocksOf, readPage, root, tableBelow } from './markdown.ts'

const page = readPage('docs/maim.md')
const firsts = (rows: string[][]): string[] => rows.map(([first = '']) => first)
const namesIn = (cells: readonly string[]): string[] => cells.flatMap((cell) => cell.split(', '))

t.test('every configuration on the page can be used', async (t) => {
  const blocks = blocksOf(page).filter(({ language, text }) => language === 'yaml' && !text.startsWith('services:'))
  t.equal(blocks.length, 4)
  for (const { text } of blocks) {
    const file = join(makeDirectory(t), 'lactea.yaml')
    writeFileSync(file, text)
    t.doesNotThrow(() => loadConfig({ file, env: {}, cwd: root }), text)
  }
})

t.test('the compose file gives variables that there are', async (t) => {
  const [block] = blocksOf(page).filter(({ text }) => text.startsWith('services:'))
  const { services } = parse(block?.text ?? '') as { services: { gateway: { environment: Record<string, unknown> } } }
  const env = Object.fromEntries(
    Object.entries(services.gateway.environment).map(([name, value]) => [
      name,
      String(value).replace(/^\$\{.*\}$/, 'from-the-shell')
    ])
  )
  t.doesNotThrow(() => loadConfig({ env, cwd: makeDirectory(t) }))
})

t.test('the choice at /ws goes as the table says', async (t) => {
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'
  /** Row by row, what shows it and nothing of the rows before. */
  const shown: [url: string, headers: Record<string, string>][][] = [
    [['/ws/?EIO=4&api_key=k', {}]],
    [['/ws?api_key=k', { upgrade: '' }]],
    [['/ws?api_key=k', { 'x-self-id': '1', platform: 'qq' }]],
    [
      ['/ws', { 'x-apikey': 'k', platform: 'qq' }],
      ['/ws?token=x', { 'x-platform': 'qq' }],
      ['/ws', { 'x-uuid': 'u', 'x-self-id': '1' }]
    ],
    [
      ['/ws', { 'x-self-id': '1', authorization: 'Bearer x' }],
      ['/ws', { 'x-client-role': 'Universal' }]
    ],
    [['/ws?token=x', { platform: 'qq', authorization: 'raw' }]],
    [
      [`/ws?token=${jwt}&platform=ios`, {}],
      ['/ws?ticket=x', {}],
      ['/ws', { authorization: `Bearer ${jwt}`, platform: 'ios' }],
      ['/ws?platform=ios', { 'sec-websocket-protocol': 'bearer' }]
    ],
    [['/ws?platform=ios', { authorization: 'raw' }]],
    [['/ws?platform=qq', {}]],
    [['/ws', {}]]
  ]
  const speechOf = (served: string) => SPEECHES.find(([beginning]) => served.startsWith(beginning))?.[1]
  const rows = tableBelow(page, '### The choice at /ws')
  t.equal(rows.length, shown.length)
  for (const [index, [row = '', served = '']] of rows.entries()) {
    for (const [url, headers] of shown[index] ?? [])
      t.equal(findSpeech({ url, method: 'GET', headers: { upgrade: 'websocket', ...headers } }), speechOf(served), row)
  }
})

const SPEECHES: [beginning: string, speech: ReturnType<typeof findSpeech>][] = [
  ['Socket.IO', 'socket.io'],
  ['told what', 'http'],
  ['API-Server', 'maim-api'],
  ['OneBot', 'onebot'],
  ['legacy', 'maim-legacy'],
  ['a person', undefined]
]

t.test('acknowledgements hold what the tables say', async (t) => {
  const keys = [
    { api_key: 'key-one', account: 10001 },
    { api_key: 'key-two', account: 10002, max_frame: '1MiB' }
  ]
  const app = await startApp(t, { config: { maim: { keys } } })
  const peer = await openSocket(t, `${app.ws}/maim/ws?api_key=key-one&platform=here`)
  let count = 0
  const send = async (payload: object, type = 'sys_std'): Promise<Record<string, unknown>> => {
    const id = `id-${++count}`
    peer.send({ ver: 1, msg_id: id, type, payload })
    const ack = await peer.find((frame: any) => frame.meta?.acked_msg_id === id)
    return ack.payload
  }

  const large = messageFor('key-two', 'there', 'x'.repeat(1024 * 1024))
  const said = [
    await send({ ...messageFor('key-unknown', 'there', 'hello') }),
    await send({ ...messageFor('key-two', 'x'.repeat(256), 'hello') }),
    await send({ words: 'hello' }, 'custom_hello'),
    await send({ ...large })
  ].map(({ undeliverable }) => String(undeliverable))
  const listed = firsts(undeliverableRows())
  for (const [index, sentence] of said.entries()) t.match(sentence, new RegExp(`^${listed[index]}`))
  t.match((await send({ message_info: {} })).undeliverable, /^message_dim: /)

  const kept = await send({ ...messageFor('key-two', 'there', 'hello') })
  t.equal(kept['queued'], 1)
  const seen = new Set([...Object.keys(kept), 'undeliverable'])
  t.strictSame(firsts(tableBelow(page, '## Acknowledgements')).toSorted(), [...seen].toSorted())
})

/** The second table of the chapter. */
function undeliverableRows(): string[][] {
  const heading = '## Rows'
  const [, below = ''] = page.split('What stands in `undeliverable`:\n')
  return tableBelow(`${heading}\n${below}`, heading)
}

t.test('every close that the doors know is listed, and no other', async (t) => {
  const rows = tableBelow(page, '### Closes').map(([code, reason]) => `${code} ${reason}`)
  const strangers = [{ post_type: '' }, { msg_id: '', type: '', payload: '' }].map((frame) => findStranger(frame))
  const [api, legacy] = ['routes/maim.ts', 'routes/maim-legacy.ts'].map((path) => readFileSync(root + path, 'utf8'))
  const written = [...`${api}`.matchAll(/\{ code: (\d+), reason: '([^']+)' \}/g)].map(
    ([, code, reason]) => `${code} ${reason}`
  )
  const shared = [...`${api}${legacy}`.matchAll(/\bCLOSE\.(\w+)/g)].map(([, name]) => CLOSE[name as keyof typeof CLOSE])
  const known = [
    ...written,
    ...[...shared, CLOSE.slow, CLOSE.shutdown].map(({ code, reason }) => `${code} ${reason}`),
    ...[LEGACY_CLOSE.unauthenticated, LEGACY_CLOSE.replaced, LEGACY_CLOSE.binary].map(
      ({ code, reason }) => `${code} ${reason}`
    ),
    ...strangers.map((stranger) => `1008 ${stranger?.reason}`),
    '1008 platform: at most 200 letters',
    '1008 a message comes in too many pieces',
    '1009 '
  ]
  t.strictSame(rows.toSorted(), [...new Set(known)].toSorted())
})

t.test('the bounds are those of the configuration', async (t) => {
  const cells = tableBelow(page, '## Limits')
    .map(([, bound = '']) => bound)
    .join('; ')
  const bounds = new Map([...cells.matchAll(/limits\.(\w+)(?: \(([^)]+)\))?/g)].map(([, name, value]) => [name, value]))
  for (const name of Object.keys(Limits.properties).filter((key) => key.startsWith('maim_')))
    t.ok(bounds.has(name), `${name} is on the page`)
  for (const [name = '', value] of bounds) {
    const { default: standard } = Limits.properties[name as keyof typeof Limits.properties]
    if (value !== undefined) t.equal(toNumber(value), standard, name)
  }
})

const UNITS: Record<string, number> = { MiB: 1024 * 1024, h: 3_600_000, s: 1000, a: 1 }

function toNumber(words: string): number {
  const [, digits = '', unit = ''] = /^([\d ]+?)(?: (\p{L}+).*)?$/u.exec(words) ?? []
  return Number(digits.replaceAll(' ', '')) * (UNITS[unit] ?? 1)
}

t.test('what a brain may say is what is understood', async (t) => {
  const source = readFileSync(`${root}src/protocols/maim-hearing.ts`, 'utf8')
  const [, readers = ''] = /const READERS.*? = \{\n(.*?)\n\}/s.exec(source) ?? []
  const understood = [...readers.matchAll(/^ {2}(\w+)[:(]/gm)].map(([, name = '']) => name)
  const listed = namesIn(firsts(tableBelow(page, '### Segments'))).filter((name) => name !== 'all others')
  t.strictSame(listed.toSorted(), [...understood, 'seglist'].toSorted())
  for (const name of ACCEPT_FORMAT) t.ok(listed.includes(name), `${name} is told to brains and understood`)

  const message = { message_info: {}, message_segment: { type: 'unheard_of', data: 'x' } }
  t.strictSame(readSpeech(message, { selfId: 1, findFileId: () => undefined }).passedOver, ['unheard_of'])
})

t.test('the commands are those that are run', async (t) => {
  const listed = namesIn(firsts(tableBelow(page, '### Commands')))
  t.strictSame(listed.toSorted(), [...Object.keys(DEEDS), ...Object.keys(QUESTIONS)].toSorted())
})

t.test('the notices are those that are told', async (t) => {
  const source = readFileSync(`${root}src/protocols/maim-telling.ts`, 'utf8')
  const told = [...source.matchAll(/sub_type: (?:.*? \? )?'(\w+)'(?: : '(\w+)')?/g)]
    .flatMap(([, one, other]) => [one, other])
    .filter((name) => name !== undefined)
  const heading = '## Rows'
  const [, below = ''] = page.split('| what happened | `notify.sub_type`')
  const rows = tableBelow(`${heading}\n| what happened | sub_type${below}`, heading)
  const listed = namesIn(rows.map(([, name = '']) => name))
  t.strictSame([...new Set(listed)].toSorted(), [...new Set(told)].toSorted())
})
