import type { Action } from '../core/action.ts'
import * as announcement from './announcement.ts'
import * as call from './call.ts'
import * as chat from './chat.ts'
import * as essence from './essence.ts'
import * as extra from './extra.ts'
import * as file from './file.ts'
import * as friend from './friend.ts'
import * as group from './group.ts'
import * as groupRequest from './group-request.ts'
import * as message from './message.ts'
import * as notices from './notices.ts'
import * as people from './people.ts'
import * as pin from './pin.ts'
import * as presence from './presence.ts'
import * as profile from './profile.ts'
import * as reaction from './reaction.ts'
import * as result from './result.ts'
import * as say from './say.ts'
import * as system from './system.ts'

/** Everything a client can ask for, in the words of Milky 1.2; other dialects translate into these. */
export const actions: readonly Action[] = [
  system,
  result,
  profile,
  pin,
  friend,
  message,
  say,
  group,
  file,
  groupRequest,
  extra,
  presence,
  notices,
  call,
  people,
  announcement,
  essence,
  reaction,
  chat
].flatMap((chapter) => Object.values(chapter) as Action[])
