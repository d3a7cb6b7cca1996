import { request } from 'node:http'
import { text as readAll } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { text } from '../../helpers/app.ts'
import type { Service } from '../../helpers/service.ts'

/** A message in the group under a key, which is also what it says. */
export interface Sent {
  readonly key: string
  readonly messageId: string
  readonly isReplay: boolean
}

export const GROUP = 100001

/**
 * Sends under a key; undefined when no answer came. `isDoomed`: the child that was started with one of the modules beside
 * this one is killed over it.
 */
export async function send(url: string, key: string, isDoomed = false): Promise<Sent | undefined> {
  const params = { group_id: GROUP, message: text(key) }
  const answer = await post(`${url}/send_group_message${isDoomed ? '?doomed' : ''}`, params, { 'idempotency-key': key })
  if (!answer) return undefined
  const { retcode, data } = answer.body
  if (retcode !== 0) throw new Error(`${key} was refused: ${JSON.stringify(answer.body)}`)
  return { key, messageId: data.message_id, isReplay: answer.isReplay }
}

interface Answer {
  readonly body: any
  readonly isReplay: boolean
}

/** Each on a connection of its own, so that all of them are under way at once; undefined when the other side is gone. */
function post(url: string, params: object, headers: Record<string, string> = {}): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    const all = { authorization: 'Bearer token-one', 'content-type': 'application/json', ...headers }
    const asking = request(url, { method: 'POST', headers: all, agent: false }, (response) => {
      readAll(response).then(
        (said) =>
          resolve({ body: JSON.parse(said) as unknown, isReplay: response.headers['idempotent-replayed'] === 'true' }),
        reject
      )
    })
    asking.on('error', () => resolve(undefined))
    asking.end(JSON.stringify(params))
  })
}

/** Everything that was said in the group: the message ids of each text. */
export async function readSaid({ url }: Pick<Service, 'url'>): Promise<Map<string, string[]>> {
  const said = new Map<string, string[]>()
  let start: string | undefined
  do {
    const page: object = { group_id: GROUP, limit: 30, ...(start !== undefined && { start_message_id: start }) }
    const { data } = (await post(`${url}/get_history_group_message`, page))?.body ?? {}
    for (const { message_id, segments } of data.messages) {
      const words = segments[0].data.text as string
      said.set(words, [...(said.get(words) ?? []), message_id])
    }
    start = data.next_start_message_id
  } while (start !== undefined)
  return said
}

/** Makes Node run a module of this folder before the service; what is asked of it stands in its address. */
export function preload(name: string, options: Record<string, string | number>): string[] {
  const url = pathToFileURL(join(import.meta.dirname, `${name}.ts`))
  for (const [key, value] of Object.entries(options)) url.searchParams.set(key, String(value))
  return ['--import', url.href]
}
