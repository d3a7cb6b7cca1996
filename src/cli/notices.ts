import { findRecipients, writeNotice, type NoticeKind } from '../core/notices.ts'
import type { Store } from '../core/store.ts'

export interface NoticeRequest {
  readonly title: string
  readonly message: string
  readonly type: NoticeKind
  readonly url: string
  /** Ids and usernames; everybody when absent. */
  readonly to: readonly string[] | undefined
}

/** Tells people something: those who are connected at once, by the gateway if it runs; the others find it in their inbox. */
export async function notify(
  { store }: { readonly store: Store },
  { title, message, type, url, to }: NoticeRequest
): Promise<string> {
  const audience = to ? await findRecipients(store, to) : null
  const draft = { audience, title, message, kind: type, actionUrl: url }
  const { id } = await writeNotice(store, draft, Math.floor(Date.now() / 1000))
  return `notice ${id} is for ${audience ? audience.join(', ') : 'everybody'}`
}
