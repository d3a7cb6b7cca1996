import { blocked } from './chats.ts'
import type { Directory } from './directory.ts'
import { ActionError } from './errors.ts'
import type { FriendAnswer, FriendQuestion, FriendRequest } from './friend-store.ts'
import { toNotice, type Notices } from './notices.ts'
import type { Account, Store } from './store.ts'

/** Who asks a bot to be its friend, and what it says to that. Every method throws `ActionError` to refuse. */
export interface Friends {
  /** By a bot, of another bot: people are not asked by bots. Of a friend it is a success that changes nothing. */
  readonly request: (initiator: Account, targetId: number, comment: string) => Promise<void>
  /** What was asked of the account, newest first. */
  readonly listRequests: (targetId: number, limit: number) => Promise<FriendRequest[]>
  /** They are in each other's lists from now on; a person is told by a notice. Again is a success. */
  readonly accept: (target: Account, initiatorId: number) => Promise<void>
  /** A person is told why by a notice; an empty reason says none. */
  readonly reject: (target: Account, initiatorId: number, reason: string) => Promise<void>
  /** From both lists, whoever had whom. */
  readonly remove: (accountId: number, friendId: number) => Promise<void>
}

export interface FriendsOptions {
  readonly store: Store
  readonly directory: Pick<Directory, 'get'>
  readonly notices: Pick<Notices, 'look'>
  /** Whether the account lets everybody in who asks. */
  readonly acceptsAtOnce: (accountId: number) => boolean
  /** Unix seconds. */
  readonly now: () => number
}

export function createFriends({ store, directory, notices, acceptsAtOnce, now }: FriendsOptions): Friends {
  async function answer(
    target: Account,
    initiatorId: number,
    decide: (request: FriendRequest | undefined, isFriend: boolean) => Omit<FriendAnswer, 'told'> | undefined,
    words: { readonly title: string; readonly message: string }
  ): Promise<void> {
    const initiator = await store.findAccount(initiatorId)
    if (!initiator || initiator.isDisabled) throw noRequest(initiatorId)
    const time = now()
    const more = { kind: 'info', actionUrl: '', audience: [initiatorId] } as const
    const told = initiator.kind === 'person' ? toNotice({ ...words, ...more }, time) : undefined
    await store.answerFriendRequest({
      initiatorId,
      targetId: target.id,
      time,
      decide(request, isFriend) {
        const decided = decide(request, isFriend)
        return decided && { ...decided, told }
      }
    })
    await notices.look()
  }

  return {
    async request(initiator, targetId, comment) {
      const field = 'user_id'
      if (initiator.id === targetId) throw new ActionError('invalid', 'you cannot be your own friend', { field })
      const target = await directory.get(targetId)
      // It could write to anybody then.
      if (initiator.kind === 'bot' && target.kind !== 'bot')
        throw new ActionError('forbidden', 'a bot asks no people: people add the bot')
      const question = toQuestion({ comment, via: initiator.kind, isAccepted: acceptsAtOnce(targetId) })
      await store.requestFriend({ ...question, initiatorId: initiator.id, targetId, time: now() })
    },

    listRequests: (targetId, limit) => store.listFriendRequests(targetId, limit),

    accept: (target, initiatorId) =>
      answer(
        target,
        initiatorId,
        (request, isFriend) => {
          if (!request || (request.state === 'accepted' && !isFriend)) throw noRequest(initiatorId)
          if (request.state === 'rejected')
            throw new ActionError('conflict', `the request of ${initiatorId} was rejected already`)
          return request.state === 'accepted' ? undefined : { state: 'accepted' }
        },
        {
          title: `${shortNameOf(target)}：好友请求已通过（has accepted your request）`,
          message: '你们已互为联系人（you are in each other’s contacts now）'
        }
      ),

    reject: (target, initiatorId, reason) =>
      answer(
        target,
        initiatorId,
        (request) => {
          if (!request) throw noRequest(initiatorId)
          if (request.state === 'pending') return { state: 'rejected' }
          throw new ActionError('conflict', `the request of ${initiatorId} was ${request.state} already`)
        },
        {
          title: `${shortNameOf(target)}：好友请求被拒绝（has rejected your request）`,
          message: reason.trim() || '对方没有说明理由（no reason was given）'
        }
      ),

    async remove(accountId, friendId) {
      if (!(await store.removeFriendship(accountId, friendId)))
        throw new ActionError('not_found', `there is no friend ${friendId}`, { field: 'user_id' })
    }
  }
}

/** Adds the rule that who is blocked does not ask, nor is asked. */
export function toQuestion(question: Omit<FriendQuestion, 'check'>): FriendQuestion {
  return {
    ...question,
    check({ isBlocked }) {
      if (isBlocked) throw blocked()
    }
  }
}

/** The configuration sets no end to names, a title has one. */
function shortNameOf({ nickname }: Account): string {
  return [...nickname].slice(0, 64).join('')
}

function noRequest(initiatorId: number): ActionError {
  return new ActionError('not_found', `there is no request of ${initiatorId}`)
}
