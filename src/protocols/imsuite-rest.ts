import type { Account } from '../core/store.ts'
import { toTimestamp } from './imsuite.ts'

// Answers of the REST door of people (IM-Suite contract 1.5): supersets of the three families of shapes that clients know.

/** What was asked for, flat, and the same again in `data`. */
export function toAnswer<T extends object>(data: T) {
  return { success: true, ...data, data }
}

/** What every refusal looks like. `code` is one of contract 2.6, or `UNAUTHORIZED`. */
export function toRefusal(error: string, code: string, details: object | string = {}) {
  return { success: false, error, code, details }
}

/** The union of what clients know a user by. Who asks for themselves is online. `now` in Unix seconds. */
export function toOwnUser(account: Account, now: number) {
  return {
    id: account.id,
    phone: account.phone ?? '',
    username: account.username ?? '',
    nickname: account.nickname,
    avatar: account.avatarUrl,
    avatar_url: account.avatarUrl,
    bio: account.bio,
    language: '',
    theme: '',
    online: true,
    is_online: true,
    last_seen: toTimestamp(now),
    created_at: toTimestamp(account.createdAt),
    updated_at: toTimestamp(account.updatedAt)
  }
}

interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
  /** Seconds. */
  readonly expiresIn: number
}

export function toTokenAnswer({ accessToken, refreshToken, expiresIn }: Tokens, account: Account, now: number) {
  return toAnswer({
    token: accessToken,
    access_token: accessToken,
    refresh_token: refreshToken,
    expires_in: expiresIn,
    user: toOwnUser(account, now)
  })
}

export function toPagination({ page, limit, total }: { page: number; limit: number; total: number }) {
  const pages = Math.ceil(total / limit)
  return { page, limit, total, pages, has_next: page < pages, has_prev: page > 1 }
}

/** A notice as the actions give it; times in Unix seconds. */
export interface NoticeAnswer {
  readonly id: number
  readonly title: string
  readonly message: string
  readonly type: string
  readonly action_url: string
  readonly created_at: number
}

export function toNotification(notice: NoticeAnswer) {
  return { ...notice, created_at: toTimestamp(notice.created_at) }
}
