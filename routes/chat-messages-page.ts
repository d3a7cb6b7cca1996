/** The messages of one chat on `/chat`, and writing. Every word of others goes in as text. */
export const chatMessagesScript = `
  // Messages of the chosen chat.

  const messages = new Map(), gone = new Set()
  const find = (id) => byId('log').querySelector('[data-message="' + id + '"]')

  async function loadMessages(before) {
    const id = current
    const path = '/api/chats/' + id + '/messages?limit=50' + (before ? '&before=' + before : '')
    const { messages: found, pagination } = await api(path)
    if (id !== current) return
    const ids = found.map((message) => message.id)
    const oldest = Math.min(...ids)
    const isGap = !before && ![...messages.keys()].some((known) => known >= oldest)
    if (isGap) {
      messages.clear()
      byId('log').replaceChildren()
    }
    if (isGap || before) byId('older').hidden = !pagination.has_more
    for (const message of found) {
      meet(message.sender)
      keepMessage(message)
    }
    markRead()
  }

  /** An answer may be older than what was heard while it was under way. */
  function keepMessage(message) {
    const known = messages.get(message.id)
    if (known?.updated_at > message.updated_at) return
    messages.set(message.id, { ...known, ...message })
    drawMessage(messages.get(message.id))
  }

  function drawMessage(message) {
    const log = byId('log')
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60
    const follow = () => { if (isAtEnd) log.scrollTop = log.scrollHeight }
    const line = make('div', { className: 'message' })
    line.dataset.message = message.id
    if (gone.has(message.id)) line.append(make('i', { textContent: '(deleted)' }))
    else line.append(...partsOf(message, follow))
    const known = find(message.id)
    const later = [...log.children].find((other) => Number(other.dataset.message) > message.id)
    if (known) known.replaceWith(line)
    else log.insertBefore(line, later ?? null)
    follow()
  }

  function partsOf(message, follow) {
    const { id, content, created_at, sender_id, reply_to_id, is_edited, status = 'sent' } = message
    const isOwn = sender_id === session.me.id
    const time = new Date(created_at)
    const when = make('time', { dateTime: created_at, title: time.toLocaleString(), textContent: time.toLocaleTimeString() })
    const marks = (is_edited ? 'edited ' : '') + (isOwn ? status : '')
    const button = (word, onclick) => {
      const made = make('button', { textContent: word, onclick })
      made.setAttribute('aria-label', word + ': ' + content.slice(0, 40))
      return made
    }
    return [
      when,
      ' ',
      make('b', { textContent: nameOf(sender_id) + ' ' }),
      ...(reply_to_id ? [makeQuote(reply_to_id)] : []),
      ...mediaOf(message, follow),
      make('span', { className: 'content', textContent: content }),
      ' ',
      make('small', { textContent: marks }),
      button('Reply', () => setAim({ replyTo: message })),
      ...(isOwn ? [button('Edit', () => setAim({ edit: message })), button('Delete', () => remove(id))] : [])
    ]
  }

  function setStatus(message, status) {
    if (message.sender_id !== session.me.id || gone.has(message.id)) return
    message.status = status
    find(message.id).querySelector('small').textContent = (message.is_edited ? 'edited ' : '') + status
  }

  function makeQuote(id) {
    const quote = make('span', { className: 'quote', textContent: '…' })
    const fill = ({ sender_id, content, message_type }) => {
      quote.textContent = nameOf(sender_id) + ': ' + (content || '(' + message_type + ')').slice(0, 120)
    }
    if (gone.has(id)) quote.textContent = '(deleted)'
    else if (messages.has(id)) fill(messages.get(id))
    else api('/api/messages/' + id).then(fill, () => { quote.textContent = '(deleted)' })
    return quote
  }

  /** Undefined for what is no address of the web: others choose these. */
  function toWebAddress(text) {
    if (!URL.canParse(text, location.href)) return undefined
    const address = new URL(text, location.href)
    return ['http:', 'https:'].includes(address.protocol) ? address : undefined
  }

  const makeLink = (address, ...children) =>
    make('a', { href: address.href, target: '_blank', rel: 'noopener noreferrer' }, ...children)

  function mediaOf({ message_type: type, file_url, file_name }, follow) {
    const name = file_name || type
    const address = file_url && toWebAddress(file_url)
    if (!address) return file_url ? [name + ' '] : []
    const link = makeLink(address, name)
    // This page shows nothing from elsewhere.
    if (address.origin !== location.origin) return [link, ' ']
    if (['image', 'gif', 'sticker'].includes(type)) {
      const image = make('img', { src: address.href, alt: name, onload: follow, onerror: () => image.replaceWith(name) })
      return [makeLink(address, image)]
    }
    const player = { video: 'video', audio: 'audio', voice: 'audio' }[type]
    return player ? [make(player, { src: address.href, controls: true, preload: 'metadata' }), link, ' '] : [link, ' ']
  }

  const remove = (id) => confirm('Delete this message for everybody?') && ask('message.delete', { message_id: id })

  let readUpTo = 0

  function readNow() {
    const chat = chats.get(current)
    if (!chat || document.hidden || !isConnected()) return
    const others = [...messages.values()].filter((one) => one.sender_id !== session.me.id)
    const last = Math.max(0, ...others.map((one) => one.id))
    if (!last || (!chat.unread && last <= readUpTo)) return
    sendFrame('message.read', { message_id: last })
    readUpTo = Math.max(readUpTo, last)
    chat.unread = 0
    drawChats()
  }

  /** A few frames a second are allowed, so what comes fast is read at once. */
  const markRead = once(async () => readNow(), 400)
  document.addEventListener('visibilitychange', markRead)

  // Writing.

  let aim, said = '', typedAt = 0, typingEnd

  /** What the next message is about: an answer to one, or new words for one. */
  function setAim(next) {
    const { content } = byId('send')
    if (aim?.edit && !next?.edit) content.value = ''
    aim = next
    const { edit, replyTo } = next ?? {}
    if (edit) content.value = edit.content
    byId('aim').hidden = !next
    byId('aim-text').textContent = edit ? 'New words for your message' : 'Answer to: ' + (replyTo?.content ?? '').slice(0, 80)
    if (next) content.focus()
  }

  function stopTyping() {
    clearTimeout(typingEnd)
    if (typedAt && isConnected()) sendFrame('typing', { chat_id: current, is_typing: false })
    typedAt = 0
  }

  async function send({ content, file }) {
    if (aim?.edit) return ask('message.edit', { message_id: aim.edit.id, content })
    const chat_id = current
    const reply_to_id = aim?.replyTo?.id
    const attached = file?.size ? await upload(file) : undefined
    if (!content && !attached) return false
    said = content
    return ask('message.send', { chat_id, content, ...(reply_to_id && { reply_to_id }), ...attached })
  }

  async function upload(file) {
    const body = new FormData()
    body.append('file', file)
    say('Sending ' + file.name + ' …')
    const { data } = await api('/api/files/upload', { method: 'POST', body })
    say(file.name + ' is sent.')
    const [major] = data.mime_type.split('/')
    return { message_type: ['image', 'video', 'audio'].includes(major) ? major : 'file', file_id: data.file_id }
  }

  byId('send').onsubmit = (event) => {
    event.preventDefault()
    const form = event.target
    const { content, file } = Object.fromEntries(new FormData(form))
    if (!isConnected()) return say('Not connected now; nothing was sent.')
    byId('send-button').disabled = true
    attempt(async () => {
      if (!(await send({ content: content.trim(), file }))) return
      // The gateway takes back that somebody types when they have written.
      clearTimeout(typingEnd)
      typedAt = 0
      form.reset()
      setAim(undefined)
    }).finally(() => { byId('send-button').disabled = false })
  }
  byId('send').content.oninput = ({ target }) => {
    if (!target.value || aim?.edit) return stopTyping()
    clearTimeout(typingEnd)
    typingEnd = setTimeout(stopTyping, 6000)
    if (!isConnected() || Date.now() - typedAt < 4000) return
    typedAt = Date.now()
    sendFrame('typing', { chat_id: current, is_typing: true })
  }
  byId('send').onkeydown = ({ key }) => { if (key === 'Escape') setAim(undefined) }
  byId('aim-off').onclick = () => setAim(undefined)
  byId('older').onclick = () => attempt(() => loadMessages(Math.min(...messages.keys())))
`
