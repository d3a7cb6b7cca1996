import type { ActionError, Reason } from '../core/errors.ts'

/** What the people's doors say in fixed words. Clients know and show the Chinese, so it is the default. */
const ENGLISH = {
  令牌已过期: 'the token has expired',
  令牌无效: 'the token is not valid',
  会话已结束: 'the session has ended',
  账号已停用: 'the account is switched off',
  令牌签发方暂不可用: 'the issuer of the token cannot be reached now',
  票据无效或已被使用: 'the ticket is not valid, or was used before',
  认证令牌格式错误: 'expected the header "Authorization: Bearer <token>"',
  需要管理员权限: 'this is for admins',
  认证失败: 'authentication failed',
  登录失败: 'sign-in failed',
  原密码错误: 'the old password is wrong',
  用户名或密码错误: 'the name or the password is wrong',
  '请求过于频繁，请 {} 秒后再试': 'too many requests, try again in {} seconds'
}

export type Sentence = keyof typeof ENGLISH

/** The sentence in the language that the header `Accept-Language` asks for; `value` stands where it has `{}`. */
export function say(sentence: Sentence, acceptLanguage: string | undefined, value: string | number = ''): string {
  return (prefersEnglish(acceptLanguage) ? ENGLISH[sentence] : sentence).replace('{}', String(value))
}

/** What became of a request, for who reads Chinese; the sentence with the particulars follows it. */
const REFUSALS: { readonly [R in Reason]: string } = {
  invalid: '请求参数验证失败',
  unknown_action: '没有这个事件类型或接口',
  not_found: '不存在，或者你无权查看',
  forbidden: '没有权限执行此操作',
  muted: '你已被禁言',
  conflict: '与现有内容冲突',
  too_late: '已超过可以修改的时间',
  busy: '对方或你正在通话中',
  no_call: '没有这个通话',
  wrong_state: '通话的当前状态不允许此操作',
  too_large: '内容超出限制',
  rate_limited: '操作过于频繁，请稍后再试',
  disabled: '账号已停用',
  unavailable: '服务暂时不可用，请稍后重试',
  timeout: '处理超时，操作仍在进行',
  no_space: '服务器磁盘空间不足，请稍后重试',
  unknown: '操作结果未知，可能已完成',
  internal: '服务器内部错误'
}

/** The sentence of an error in the language that somebody prefers; English unless it is Chinese. */
export function explain({ reason, message }: ActionError, acceptLanguage: string | undefined): string {
  return prefersChinese(acceptLanguage) ? `${REFUSALS[reason]}（${message}）` : message
}

/** Whether English comes before Chinese among the languages that somebody reads (RFC 9110 §12.5.4). */
export function prefersEnglish(acceptLanguage = ''): boolean {
  return weightOf('en', acceptLanguage) > weightOf('zh', acceptLanguage)
}

/** The other way round: neither is preferred by who says nothing. */
export function prefersChinese(acceptLanguage = ''): boolean {
  return weightOf('zh', acceptLanguage) > weightOf('en', acceptLanguage)
}

/** From 0, not at all, to 1; of languages that are equally liked the first counts more. */
function weightOf(language: string, acceptLanguage: string): number {
  const weights = acceptLanguage
    .toLowerCase()
    .split(',', 32)
    .flatMap((range, index) => {
      const [, primary, weight = '1'] = /^\s*([a-z]+)(?:-[\w-]+)?\s*(?:;\s*q=([\d.]+)\s*)?$/.exec(range) ?? []
      return primary === language && Number(weight) > 0 ? [Number(weight) - index / 100_000] : []
    })
  return Math.max(0, ...weights)
}
