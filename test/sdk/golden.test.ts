import { readFileSync } from 'node:fs'
import t from 'tap'
import { APIMessageBase, MessageBase, MessageConverter } from '../../sdk/src/index.ts'

interface Vector {
  readonly op: string
  readonly name: string
  readonly input: unknown
  readonly output?: object
  readonly error?: string
}

/** What the Python library, in all of 0.6.4, 0.6.8 and 0.7.4, makes of each input (contract 1.4, 2.6, 4). */
const vectors = JSON.parse(readFileSync(new URL('golden.json', import.meta.url), 'utf8')) as Vector[]

const options = { apiKey: 'KEY', now: () => 1_700_000_000_250 }

const operations: Record<string, (input: unknown) => object> = {
  legacy_roundtrip: (input) => MessageBase.toObject(MessageBase.from(input)),
  to_api_receive: (input) => APIMessageBase.toObject(MessageConverter.toApiReceive(MessageBase.from(input), options)),
  to_api_send: (input) => APIMessageBase.toObject(MessageConverter.toApiSend(MessageBase.from(input), options)),
  "to_api_receive(platform='over')": (input) =>
    APIMessageBase.toObject(MessageConverter.toApiReceive(MessageBase.from(input), { ...options, platform: 'over' })),
  api_roundtrip: (input) => APIMessageBase.toObject(APIMessageBase.from(input)),
  from_api_receive: (input) => MessageBase.toObject(MessageConverter.fromApiReceive(APIMessageBase.from(input))),
  from_api_send: (input) => MessageBase.toObject(MessageConverter.fromApiSend(APIMessageBase.from(input)))
}

t.equal(vectors.length, 153)
for (const { op, name, input, output, error } of vectors) {
  const run = operations[op]
  if (!run) throw new Error(`there is no operation ${op}`)
  if (error !== undefined) t.throws(() => run(input), { name: 'MessageError' }, `${op} ${name}: ${error}`)
  else t.equal(JSON.stringify(run(input)), JSON.stringify(output), `${op} ${name}`)
}
