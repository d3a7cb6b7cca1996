import type { ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'

/** Private chats share the numbers of groups; nobody may reach one by calling it a group. */
export async function mustBeGroup({ store }: ActionContext, groupId: number): Promise<void> {
  const chat = await store.findChat(groupId)
  if (chat?.kind !== 'group') throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
}
