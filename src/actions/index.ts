import type { Action } from '../core/action.ts'
import * as call from './call.ts'
import * as chat from './chat.ts'
import * as extra from './extra.ts'
import * as group from './group.ts'
import * as message from './message.ts'
import * as notices from './notices.ts'
import * as people from './people.ts'
import * as presence from './presence.ts'
import * as system from './system.ts'

/** Everything a client can ask for, in the words of Milky 1.2; other dialects translate into these. */
export const actions: readonly Action[] = [
  system,
  message,
  group,
  extra,
  presence,
  notices,
  call,
  people,
  chat
].flatMap((chapter) => Object.values(chapter) as Action[])
