/** What the faces of QQ show, by their ids: clients that draw none of them, and language models, read these words. */
const NAMES: ReadonlyMap<string, string> = new Map(
  `0惊讶 1撇嘴 2色 3发呆 4得意 5流泪 6害羞 7闭嘴 8睡 9大哭 10尴尬 11发怒 12调皮 13呲牙 14微笑 15难过 16酷 18抓狂 19吐 20偷笑
  21可爱 22白眼 23傲慢 24饥饿 25困 26惊恐 27流汗 28憨笑 29悠闲 30奋斗 31咒骂 32疑问 33嘘 34晕 35折磨 36衰 37骷髅 38敲打 39再见
  41发抖 42爱情 43跳跳 46猪头 49拥抱 53蛋糕 54闪电 55炸弹 56刀 57足球 59便便 60咖啡 61饭 63玫瑰 64凋谢 66爱心 67心碎 69礼物
  74太阳 75月亮 76赞 77踩 78握手 79胜利 85飞吻 86怄火 89西瓜 96冷汗 97擦汗 98抠鼻 99鼓掌 100糗大了 101坏笑 102左哼哼
  103右哼哼 104哈欠 105鄙视 106委屈 107快哭了 108阴险 109亲亲 110吓 111可怜 112菜刀 113啤酒 114篮球 115乒乓 116示爱 117瓢虫
  118抱拳 119勾引 120拳头 121差劲 122爱你 123不 124好 125转圈 126磕头 127回头 128跳绳 129挥手 130激动 131街舞 132献吻
  133左太极 134右太极 171茶 172眨眼睛 173泪奔 174无奈 175卖萌 176小纠结 177喷血 178斜眼笑 179doge 180惊喜 181骚扰 182笑哭
  183我最美 187幽灵 193大笑 201点赞 212托腮 214啵啵 264捂脸 271吃瓜 277汪汪 285摸鱼 293摸锦鲤`
    .split(/\s+/)
    .map((entry) => {
      const [, id = '', name = ''] = /^(\d+)(.+)$/.exec(entry) ?? []
      return [id, name]
    })
)

/** Undefined for faces whose name is not known here. */
export const faceName = (faceId: string): string | undefined => NAMES.get(faceId)
