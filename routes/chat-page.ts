/** A page to try the gateway as a person: sign in, see what comes, write to a chat or to an account. Nothing is loaded from elsewhere. */
export const chatPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lactea chat</title><link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 42rem; padding: 0 .75rem }
  h1 { font-size: 1.4rem; margin: .75rem 0 }
  form { display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0; align-items: end }
  label { display: flex; flex-direction: column; font-size: .85rem; flex: 1 1 8rem; min-width: 0 }
  label.wide { flex: 4 1 12rem }
  input, select, button { font: inherit; font-size: 1rem; padding: .4rem .5rem; min-width: 0; box-sizing: border-box; max-width: 100% }
  #log { border: 1px solid #8888; border-radius: .3rem; height: 55vh; overflow: auto; padding: .5rem; white-space: pre-wrap; overflow-wrap: anywhere }
  #log b { font-weight: 600 }
  #log time { opacity: .7; font-size: .85rem }
  [hidden] { display: none !important }
</style>
<main>
  <h1>Lactea chat</h1>
  <form id="sign-in">
    <label>Username <input name="username" autocomplete="username" autocapitalize="none" required></label>
    <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
    <button name="how" value="login">Sign in</button>
    <button name="how" value="register">New account</button>
  </form>
  <section id="room" aria-label="Chat" hidden>
    <label>Chat <select id="chats"></select></label>
    <div id="log" role="log" aria-label="Messages" tabindex="0"></div>
    <form id="send">
      <label class="wide">Message <input name="content" autocomplete="off" maxlength="4096" enterkeyhint="send" required></label>
      <label>To account id (new chat) <input name="receiver" type="number" min="10001" inputmode="numeric"></label>
      <button>Send</button>
    </form>
  </section>
  <p id="state" role="status"></p>
</main>
<script>
  const byId = (id) => document.getElementById(id)
  const say = (text) => { byId('state').textContent = text }
  const chats = new Map(), names = new Map()
  let token, me, socket, retryMs = 1000

  async function call(path, options = {}) {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: 'Bearer ' + token }) }
    const response = await fetch(path, { ...options, headers })
    const body = await response.json()
    if (response.ok) return body
    if (response.status === 429) throw new Error('Too many attempts. Try again in ' + response.headers.get('retry-after') + ' s.')
    if (body.code === 'AUTHENTICATION_FAILED') throw new Error('The username or the password is wrong.')
    throw new Error(body.error)
  }

  function connect() {
    socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws', ['bearer', token])
    socket.onopen = () => { retryMs = 1000; say('Connected as ' + me.nickname + ', account ' + me.id + '.'); void loadChats() }
    socket.onmessage = ({ data }) => hear(JSON.parse(data))
    socket.onclose = ({ code, reason }) => {
      if (code === 1008 || code === 1000) return say('Signed out: ' + reason + '. Reload the page to sign in again.')
      say('The connection is lost, trying again.')
      setTimeout(connect, retryMs)
      retryMs = Math.min(retryMs * 2, 30000)
    }
  }
  setInterval(() => socket?.readyState === 1 && socket.send('{"type":"ping"}'), 30000)

  function hear({ type, payload }) {
    if (type === 'error') return say(payload.message)
    if (type === 'message.delete') return find(payload.message_id)?.replaceChildren('(recalled)')
    if (type !== 'message.new') return
    names.set(payload.sender.id, payload.sender.nickname)
    addChat(payload.chat)
    if (payload.chat.id === current()) show(payload.message)
    else if (payload.sender.id === me.id) choose(payload.chat.id)
    else say('New message in ' + payload.chat.title + '.')
  }

  const current = () => Number(byId('chats').value)
  const find = (messageId) => byId('log').querySelector('[data-message="' + messageId + '"]')

  function addChat(chat) {
    if (chats.has(chat.id)) return
    chats.set(chat.id, chat)
    byId('chats').append(new Option(chat.title + ' (' + (chat.type === 'group' ? 'group ' + chat.id : 'private') + ')', chat.id))
  }

  function choose(id) { byId('chats').value = id; void loadMessages() }

  async function loadChats() {
    const body = await call('/api/chats?limit=100')
    body.chats.forEach(addChat)
    await loadMessages()
  }

  async function loadMessages() {
    const id = current()
    byId('log').replaceChildren()
    if (!id) return
    const { messages } = await call('/api/chats/' + id + '/messages?limit=50')
    if (id === current()) messages.reverse().forEach(show)
  }

  function show(message) {
    if (find(message.id)) return
    const line = document.createElement('div'), who = document.createElement('b'), when = document.createElement('time')
    line.dataset.message = message.id
    const chat = chats.get(message.chat_id)
    const other = names.get(message.sender_id) ?? (chat?.type === 'private' ? chat.title : message.sender_id)
    who.textContent = (message.sender_id === me.id ? me.nickname : other) + ' '
    when.dateTime = message.created_at
    when.textContent = new Date(message.created_at).toLocaleTimeString() + ' '
    line.append(when, who, message.content)
    // What comes live may come before the history of the chat is there.
    const later = [...byId('log').children].find((known) => Number(known.dataset.message) > message.id)
    byId('log').insertBefore(line, later ?? null)
    byId('log').scrollTop = byId('log').scrollHeight
  }

  byId('sign-in').onsubmit = async (event) => {
    event.preventDefault()
    const { username, password } = Object.fromEntries(new FormData(event.target))
    try {
      const body = await call('/api/auth/' + (event.submitter?.value ?? 'login'), { method: 'POST', body: JSON.stringify({ username, password }) })
      token = body.token
      me = body.user
      byId('sign-in').hidden = true
      byId('room').hidden = false
      byId('send').content.focus()
      connect()
    } catch (err) { say(err.message) }
  }
  byId('chats').onchange = () => void loadMessages()
  byId('send').onsubmit = (event) => {
    event.preventDefault()
    const { receiver, content } = Object.fromEntries(new FormData(event.target))
    if (socket.readyState !== 1) return say('Not connected now; the message was not sent.')
    if (!receiver && !current()) return say('Give the account id of the one you want to write to.')
    const target = receiver ? { receiver_id: Number(receiver) } : { chat_id: current() }
    socket.send(JSON.stringify({ type: 'message.send', payload: { ...target, content } }))
    event.target.reset()
  }
</script>
`
