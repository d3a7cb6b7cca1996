import { prefersChinese } from './words.ts'

/** What the doors for bots say before a call is run, and the same in Chinese; `{}` stands for a value. */
const CHINESE = {
  'no access token: send the header "Authorization: Bearer <access_token>"':
    '缺少访问令牌：请携带请求头 "Authorization: Bearer <access_token>"',
  'no access token: connect with ?access_token=<access_token>, or the header "Authorization: Bearer <access_token>"':
    '缺少访问令牌：请用 ?access_token=<access_token> 或请求头 "Authorization: Bearer <access_token>" 连接',
  'this access token is not known': '访问令牌无效',
  'this bot is switched off': '该机器人已被停用',
  'without an access token this bot is only for this machine: call it as localhost':
    '该机器人没有访问令牌，只供本机使用：请通过 localhost 访问',
  'without an access token this bot is not for web pages of other origins':
    '该机器人没有访问令牌，不接受其他来源网页的访问',
  'too many requests; try again in {} s': '请求过于频繁，请 {} 秒后再试',
  'there is no API "{}"': '没有接口 "{}"',
  'there is no API "{}" in Milky 1.2; the Milky draft has it, at POST /{}':
    'Milky 1.2 没有接口 "{}"；它属于 Milky 草案，地址是 POST /{}',
  'there is no API "{}" in the Milky draft; Milky 1.2 has it, at POST /api/{}':
    'Milky 草案没有接口 "{}"；它属于 Milky 1.2，地址是 POST /api/{}',
  'the Content-Type must be application/json': 'Content-Type 必须是 application/json',
  'the body may have at most {} bytes': '请求体最多 {} 字节',
  'since: expected a cursor as we gave it, or now': 'since：应为网关给出的游标，或 now',
  'the gateway shuts down': '网关正在关闭'
}

export type MilkySentence = keyof typeof CHINESE

/** The sentence in the language that the header `Accept-Language` asks for: English unless it is Chinese. */
export function tellBot(
  sentence: MilkySentence,
  acceptLanguage: string | undefined,
  value: string | number = ''
): string {
  const words = prefersChinese(acceptLanguage) ? CHINESE[sentence] : sentence
  return words.replaceAll('{}', () => String(value))
}
