/** A page to try the gateway as a person: sign in, see what comes, write to a chat or to an account. Nothing is loaded from elsewhere. */
export const chatPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Lactea chat</title>
<style>
  body { font: 16px/1.5 system-ui; margin: 1rem auto; max-width: 42rem; padding: 0 1rem }
  form { display: flex; gap: .5rem; margin: .5rem 0 }
  input, select, button { font: inherit; padding: .3rem .5rem; min-width: 0 }
  input[name=content] { flex: 1 }
  #log { border: 1px solid #8884; height: 60vh; overflow: auto; padding: .5rem; white-space: pre-wrap; overflow-wrap: anywhere }
  #log b { font-weight: 600 } #log i { opacity: .6 }
  [hidden] { display: none !important }
</style>
<h1>Lactea chat</h1>
<form id="sign-in">
  <input name="username" placeholder="username" autocomplete="username" required>
  <input name="password" type="password" placeholder="password" autocomplete="current-password" required>
  <button>Sign in</button>
</form>
<div id="room" hidden>
  <select id="chats" aria-label="chat"></select>
  <div id="log" role="log"></div>
  <form id="send">
    <input name="receiver" type="number" min="10001" placeholder="account id" aria-label="account id of a new chat">
    <input name="content" placeholder="message" autocomplete="off" required>
    <button>Send</button>
  </form>
</div>
<p id="state" role="status"></p>
<script>
  const byId = (id) => document.getElementById(id)
  const say = (text) => { byId('state').textContent = text }
  let token, socket, retryMs = 1000, chats = new Map(), names = new Map(), me

  async function call(path, options = {}) {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: 'Bearer ' + token }) }
    const response = await fetch(path, { ...options, headers })
    const body = await response.json()
    if (!response.ok) throw new Error(typeof body.details === 'string' ? body.details : body.error)
    return body
  }

  function connect() {
    socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws?token=' + token)
    socket.onopen = () => { retryMs = 1000; say('connected') ; void loadChats() }
    socket.onmessage = ({ data }) => hear(JSON.parse(data))
    socket.onclose = ({ code, reason }) => {
      if (code === 1008 || code === 1000) return say('signed out: ' + reason)
      say('connection lost, trying again')
      setTimeout(connect, retryMs)
      retryMs = Math.min(retryMs * 2, 30000)
    }
  }
  setInterval(() => socket?.readyState === 1 && socket.send('{"type":"ping"}'), 30000)

  function hear({ type, payload }) {
    if (type === 'error') return say(payload.error_code + ': ' + payload.message)
    if (type === 'message.delete') { document.querySelector('[data-message="' + payload.message_id + '"]')?.replaceChildren('(recalled)'); return }
    if (type !== 'message.new') return
    names.set(payload.sender.id, payload.sender.nickname)
    addChat(payload.chat)
    if (payload.chat.id === current()) show(payload.message)
    else if (payload.sender.id === me.id) choose(payload.chat.id)
  }

  const current = () => Number(byId('chats').value)

  function addChat(chat) {
    if (chats.has(chat.id)) return
    chats.set(chat.id, chat)
    const option = new Option(chat.title + ' (' + chat.id + ')', chat.id)
    byId('chats').append(option)
  }

  function choose(id) { byId('chats').value = id; void loadMessages() }

  async function loadChats() {
    const { chats: found } = await call('/api/chats?limit=100')
    for (const chat of found) addChat(chat)
    await loadMessages()
  }

  async function loadMessages() {
    byId('log').replaceChildren()
    const id = current()
    if (!id) return
    const { messages } = await call('/api/chats/' + id + '/messages?limit=50')
    if (id === current()) messages.reverse().forEach(show)
  }

  function show(message) {
    if (document.querySelector('[data-message="' + message.id + '"]')) return
    const line = document.createElement('div'), who = document.createElement('b'), when = document.createElement('i')
    line.dataset.message = message.id
    const sender = message.sender_id === me.id ? me.nickname : names.get(message.sender_id) ?? chats.get(message.chat_id)?.title ?? message.sender_id
    who.textContent = sender + ' '
    when.textContent = new Date(message.created_at).toLocaleTimeString() + '  '
    line.append(when, who, message.content)
    byId('log').append(line)
    byId('log').scrollTop = byId('log').scrollHeight
  }

  byId('sign-in').onsubmit = async (event) => {
    event.preventDefault()
    try {
      const { username, password } = Object.fromEntries(new FormData(event.target))
      const body = await call('/api/auth/login', { method: 'POST', body: JSON.stringify({ username, password }) })
      token = body.token
      me = body.user
      event.target.hidden = true
      byId('room').hidden = false
      connect()
    } catch (err) { say(err.message) }
  }
  byId('chats').onchange = () => void loadMessages()
  byId('send').onsubmit = (event) => {
    event.preventDefault()
    const { receiver, content } = Object.fromEntries(new FormData(event.target))
    const target = receiver ? { receiver_id: Number(receiver) } : { chat_id: current() }
    socket.send(JSON.stringify({ type: 'message.send', payload: { ...target, content } }))
    event.target.reset()
  }
</script>
`
