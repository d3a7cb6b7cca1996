import { openSqliteStore } from '../../../src/store/index.ts'

// Keeps 500 appends in flight over the given chats until it is killed, and says of each what was answered.
const [path = '', ...chatIds] = process.argv.slice(2)
const store = await openSqliteStore({ path })

async function appendForEver(chatId: number): Promise<void> {
  for (;;) {
    const segments = [{ type: 'text', text: 'hello' } as const]
    const {
      message: { seq, id }
    } = await store.appendMessage({ chatId, senderId: 10001, segments, time: 1, check: () => {} })
    // To a pipe this is done when it returns.
    process.stdout.write(`${chatId} ${seq} ${id}\n`)
  }
}

await Promise.all(Array.from({ length: 500 }, (_, index) => appendForEver(Number(chatIds[index % chatIds.length]))))
