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

/** Whether English comes before Chinese among the languages that somebody reads (RFC 9110 §12.5.4). */
export function prefersEnglish(acceptLanguage = ''): boolean {
  return weightOf('en', acceptLanguage) > weightOf('zh', acceptLanguage)
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
