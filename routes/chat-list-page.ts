/** What `/chat` hears, its list of chats, and finding people. Every word of others goes in as text. */
export const chatListScript = `
  const heard = {
    connect() {
      retryMs = 1000
      say('Connected as ' + session.me.nickname + ', account ' + session.me.id + '.')
      flushCallFrames()
      attempt(loadChats)
      if (current) attempt(loadMessages)
    },
    disconnect({ reason }) { farewell = reason },
    error({ message, details }) {
      // Candidates may still be under way when a call is none any more.
      if (details.ref_type === 'call.ice') return
      say(message)
      if (details.ref_type === 'message.send' && !byId('send').content.value) byId('send').content.value = said
      if (details.ref_type?.startsWith('call.')) failCall(details, message)
    },
    notification({ title, message, type, action_url }) {
      const notice = make('div', { className: 'notice' }, make('b', { textContent: title + ' (' + type + ')' }), ' ', message)
      const address = action_url && toWebAddress(action_url)
      if (address) notice.append(' ', makeLink(address, address.href))
      notice.append(' ', make('button', { textContent: 'Dismiss', onclick: () => notice.remove() }))
      byId('notices').append(notice)
    },
    'message.new'(payload) {
      // A page that was loaded anew hears again what it has missed, and does not know yet what it knew.
      if (early) return void early.push(payload)
      const { message, chat, sender } = payload
      meet(sender)
      isLate = true
      if (!chats.has(chat.id)) {
        chats.set(chat.id, { ...chat, unread: 0, newest: 0 })
        loadChatsSoon()
      }
      const known = chats.get(chat.id)
      setTyping(chat.id, sender.id, false)
      const isOwn = sender.id === session.me.id
      // Who comes back hears some messages twice: they count once.
      if (message.id > known.newest) {
        known.newest = message.id
        if (!isOwn && (chat.id !== current || document.hidden)) known.unread++
        if (!isOwn && chat.id !== current) say('New message in ' + chat.title + '.')
      }
      if (chat.id === current && !messages.has(message.id)) keepMessage(message)
      markRead()
      drawChats()
    },
    'message.edit'({ message }) { if (messages.has(message.id)) keepMessage(message) },
    'message.delete'({ message_id, chat_id }) {
      gone.add(message_id)
      if (messages.has(message_id)) drawMessage(messages.get(message_id))
      if (chats.get(chat_id)?.unread) loadChatsSoon()
    },
    'message.read'({ message_id, chat_id, read_by }) {
      if (read_by === session.me.id) return loadChatsSoon()
      if (chat_id !== current) return
      // In a group only the gateway knows when everybody has read.
      if (!chats.get(chat_id).peer) return loadMessagesSoon()
      for (const message of messages.values()) if (message.id <= message_id) setStatus(message, 'read')
    },
    typing({ chat_id, user_id, is_typing, user }) {
      meet(user)
      setTyping(chat_id, user_id, is_typing)
    },
    presence({ user_id, is_online, last_seen, user }) {
      meet({ ...user, is_online, last_seen })
      drawChats()
    },
    'call.offer': (payload) => hearOffer(payload),
    'call.answer': (payload) => carryOut(() => hearAnswer(payload)),
    'call.ice': (payload) => hearCandidate(payload),
    'call.end': (payload) => hearEnd(payload)
  }

  // Chats, and who is in them.

  const chats = new Map(), people = new Map(), typists = new Map()
  let current
  /** Messages heard before the chats were there, and whether one came while they were asked for. */
  let early = [], isLate = false

  const meet = (user) => people.set(user.id, { ...people.get(user.id), ...user })
  const nameOf = (id) => (id === session?.me.id ? session.me.nickname : people.get(id)?.nickname || 'account ' + id)

  async function loadChats() {
    isLate = false
    const [{ chats: found }, { users }] = await Promise.all([
      api('/api/chats?limit=100'),
      api('/api/messages/dialogs?limit=100')
    ])
    users.forEach(meet)
    for (const { id, type, title, peer, unread_count, last_message } of found) {
      const newest = Math.max(chats.get(id)?.newest ?? 0, last_message?.id ?? 0)
      chats.set(id, { ...chats.get(id), id, type, title, peer: peer?.id, unread: unread_count, newest })
    }
    // The counts may be from before it.
    if (isLate) loadChatsSoon()
    const held = early ?? []
    early = undefined
    held.forEach(heard['message.new'])
    drawChats()
    markRead()
  }

  const once = (work, ms) => {
    let timer
    return () => { timer ??= setTimeout(() => { timer = undefined; if (session) attempt(work) }, ms) }
  }
  const loadChatsSoon = once(loadChats, 300), loadMessagesSoon = once(() => loadMessages(), 1000)

  function drawChats() {
    const sorted = [...chats.values()].sort((a, b) => b.newest - a.newest)
    for (const chat of sorted) {
      chat.button ??= make('button', { onclick: () => choose(chat.id) })
      chat.row ??= make('li', {}, chat.button)
      const about = chat.peer ? (people.get(chat.peer)?.is_online ? ' · online' : '') : ' · ' + chat.type
      const badge = make('span', { className: 'badge', textContent: chat.unread })
      badge.setAttribute('aria-label', chat.unread + ' unread')
      chat.button.replaceChildren(chat.title, make('span', { className: 'dim', textContent: about }), chat.unread ? badge : '')
      chat.button.setAttribute('aria-current', chat.id === current)
    }
    // A row that is moved loses the focus.
    const rows = sorted.map((chat) => chat.row)
    if (rows.some((row, index) => byId('chats').children[index] !== row)) byId('chats').append(...rows)
    if (!rows.length) byId('chats').replaceChildren()
    const unread = sorted.reduce((sum, chat) => sum + chat.unread, 0)
    document.title = (unread ? '(' + unread + ') ' : '') + 'Lactea chat'
    drawHeader()
  }

  function drawHeader() {
    const chat = chats.get(current)
    const peer = people.get(chat?.peer)
    const typing = [...(typists.get(current)?.keys() ?? [])].map(nameOf)
    byId('title').textContent = chat ? chat.title : 'Choose a chat, or find somebody to write to.'
    const seen = peer?.last_seen ? 'last seen ' + new Date(peer.last_seen).toLocaleString() : ''
    const about = peer ? (peer.is_online ? 'online' : seen) : (chat?.type ?? '')
    byId('about').textContent = typing.length ? typing.join(', ') + (typing.length > 1 ? ' are' : ' is') + ' typing…' : about
    byId('call-buttons').hidden = !peer || Boolean(peer.is_bot) || isInCall()
    byId('send').hidden = !chat
  }

  function choose(id) {
    if (id !== current) stopTyping()
    readNow()
    current = id
    messages.clear()
    byId('log').replaceChildren()
    byId('older').hidden = true
    setAim(undefined)
    drawChats()
    if (id) attempt(loadMessages)
  }

  /** The gateway takes it back after half a minute; this is for when its word is lost. */
  function setTyping(chatId, userId, isTyping) {
    const inChat = typists.get(chatId) ?? new Map()
    clearTimeout(inChat.get(userId))
    inChat.delete(userId)
    if (isTyping) inChat.set(userId, setTimeout(() => setTyping(chatId, userId, false), 35000))
    typists.set(chatId, inChat)
    drawHeader()
  }

  // Finding people.

  byId('find').onsubmit = (event) => {
    event.preventDefault()
    const { keyword } = Object.fromEntries(new FormData(event.target))
    attempt(async () => {
      const { users } = await api('/api/users/search?keyword=' + encodeURIComponent(keyword))
      const byNumber = /^[1-9][0-9]{4,9}$/.test(keyword.trim())
        ? await api('/api/users/' + keyword.trim()).then(({ data }) => [data], () => [])
        : []
      const found = [...byNumber, ...users].filter(({ id }) => id !== session.me.id)
      byId('found').replaceChildren(...found.map(toFoundRow))
      say(found.length ? found.length + ' found.' : 'Nobody found.')
    })
  }

  function toFoundRow(user) {
    meet(user)
    const words = [user.username && '@' + user.username, user.is_bot && 'bot', user.is_online && 'online', user.id]
    const about = make('span', { className: 'dim', textContent: ' · ' + words.filter(Boolean).join(' · ') })
    return make('li', {}, make('button', { onclick: () => attempt(() => writeTo(user.id)) }, 'Write to ' + user.nickname, about))
  }

  async function writeTo(userId) {
    const { data: chat } = await post('/api/chats', { type: 'private', members: [userId] })
    await loadChats()
    byId('found').replaceChildren()
    byId('find').reset()
    choose(chat.id)
    byId('send').content.focus()
  }
`
