/** Signing in and staying signed in on `/chat`, and the connection. */
export const chatSessionScript = `
  'use strict'
  const byId = (id) => document.getElementById(id)
  const say = (text) => { byId('state').textContent = text }
  const make = (tag, fields, ...children) => {
    const node = Object.assign(document.createElement(tag), fields)
    node.append(...children)
    return node
  }

  // The session: of this tab alone, so that several people can be tried in one browser.

  const KEPT = 'lactea.session'
  let session = JSON.parse(sessionStorage.getItem(KEPT))
  let refreshing

  function keepSession({ token, refresh_token, user }) {
    session = { token, refresh_token, me: user }
    sessionStorage.setItem(KEPT, JSON.stringify(session))
  }

  async function api(path, options = {}, isSecond) {
    const { method, body } = options
    const used = session?.token
    const headers = {
      ...(typeof body === 'string' && { 'content-type': 'application/json' }),
      ...(used && { authorization: 'Bearer ' + used })
    }
    // Relative, since a proxy may have put the gateway under a path of its own.
    const response = await fetch('.' + path, { method, body, headers })
    if (response.status === 401 && used && !isSecond && (await refresh(used))) return api(path, options, true)
    const answer = await response.json()
    if (response.ok) return answer
    if (response.status === 429)
      throw new Error('Too many attempts. Try again in ' + response.headers.get('retry-after') + ' s.')
    if (answer.code === 'AUTHENTICATION_FAILED') throw new Error('The username or the password is wrong.')
    throw new Error(answer.error)
  }

  const post = (path, body = {}) => api(path, { method: 'POST', body: JSON.stringify(body) })
  /** For what the page asks for by itself or at the press of a button: what goes wrong is said. */
  const attempt = (work) => work().catch((err) => say(err.message))

  /** Gives whether there is a new token. One at a time: a refresh token that is used twice ends the session. */
  function refresh(used) {
    if (session?.token !== used) return Promise.resolve(Boolean(session))
    refreshing ??= (async () => {
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify({ refresh_token: session.refresh_token })
      const response = await fetch('./api/auth/refresh', { method: 'POST', headers, body })
      if (response.ok) keepSession(await response.json())
      else if (response.status === 401) leave('You were signed out. Please sign in again.')
      return response.ok
    })().finally(() => { refreshing = undefined })
    return refreshing
  }

  function enter() {
    byId('sign-in').hidden = Boolean(session)
    byId('room').hidden = !session
    if (session) connect()
  }

  function leave(text) {
    finishCall()
    sessionStorage.removeItem(KEPT)
    session = undefined
    clearTimeout(retry)
    const old = socket
    socket = undefined
    old?.close()
    for (const map of [chats, people, typists]) map.clear()
    early = []
    readUpTo = 0
    choose(undefined)
    drawChats()
    byId('found').replaceChildren()
    byId('notices').replaceChildren()
    enter()
    say(text)
  }

  // The connection.

  let socket, retry, retryMs = 1000, farewell, isHeard = true

  function connect() {
    clearTimeout(retry)
    farewell = undefined
    isHeard = true
    const own = new WebSocket(new URL('ws', location.href.replace('http', 'ws')), ['bearer', session.token])
    own.onmessage = ({ data }) => own === socket && hear(JSON.parse(data))
    own.onclose = ({ code }) => own === socket && attempt(() => comeBack(code))
    socket = own
  }

  async function comeBack(code) {
    socket = undefined
    if (code === 1000) return leave('You are signed out.')
    if (farewell === 'replaced') return say('Too many windows are open; reload this one to go on here.')
    say('The connection is lost, trying again in ' + retryMs / 1000 + ' s.')
    retry = setTimeout(connect, retryMs)
    retryMs = Math.min(retryMs * 2, 30000)
    if (code === 1008) await refresh(session.token)
  }

  /** Without waiting for a farewell of the other side, which may be out of reach. */
  function reconnect() {
    const old = socket
    if (!session || !old) return
    attempt(() => comeBack())
    old.close()
  }

  addEventListener('offline', reconnect)
  addEventListener('online', () => { if (session && !socket) connect() })
  setInterval(() => {
    if (socket?.readyState !== 1) return
    if (!isHeard) return reconnect()
    isHeard = false
    sendFrame('ping', { timestamp: new Date().toISOString() })
  }, 30000)

  const isConnected = () => socket?.readyState === 1
  const sendFrame = (type, payload) => socket.send(JSON.stringify({ type, payload }))

  function ask(type, payload) {
    if (!isConnected()) return say('Not connected now; nothing was sent.')
    sendFrame(type, payload)
    return true
  }

  function hear({ type, payload }) {
    isHeard = true
    if (Object.hasOwn(heard, type)) heard[type](payload)
  }

  // Signing in and out.

  byId('sign-in').onsubmit = (event) => {
    event.preventDefault()
    const { invite, ...given } = Object.fromEntries(new FormData(event.target))
    const how = event.submitter?.value ?? 'login'
    attempt(async () => {
      keepSession(await post('/api/auth/' + how, { ...given, ...(how === 'register' && invite && { invite }) }))
      event.target.reset()
      enter()
    })
  }
  byId('sign-out').onclick = () =>
    attempt(async () => {
      if (isInCall()) hangUp()
      await post('/api/auth/logout')
      if (session) leave('You are signed out.')
    })
`
