/** Signing in and staying signed in on `/console`, its words, and its calls. */
export const consoleSessionScript = `
  'use strict'
  const byId = (id) => document.getElementById(id)
  const make = (tag, fields, ...children) => {
    const node = Object.assign(document.createElement(tag), fields)
    node.append(...children)
    return node
  }

  // The words: of the markup in its attributes, of the script side by side.

  const isChinese = navigator.language.startsWith('zh')
  const words = (english, chinese) => (isChinese ? chinese : english)
  const say = (text) => { byId('state').textContent = text }
  if (isChinese) {
    document.documentElement.lang = 'zh'
    for (const node of document.querySelectorAll('[data-zh]')) node.textContent = node.dataset.zh
  }

  // The session: of this tab alone.

  const KEPT = 'lactea.console'
  let session = JSON.parse(sessionStorage.getItem(KEPT))
  let refreshing

  function keepSession({ token, refresh_token, user }) {
    session = { token, refresh_token, name: user.nickname }
    sessionStorage.setItem(KEPT, JSON.stringify(session))
  }

  async function api(path, { body, key } = {}, isSecond) {
    const used = session?.token
    const headers = {
      'accept-language': isChinese ? 'zh' : 'en',
      ...(body && { 'content-type': 'application/json' }),
      ...(key && { 'idempotency-key': key }),
      ...(used && { authorization: 'Bearer ' + used })
    }
    // Relative, since a proxy may have put the gateway under a path of its own.
    const response = await fetch('.' + path, { method: body ? 'POST' : 'GET', body: body && JSON.stringify(body), headers })
    if (response.status === 401 && used && !isSecond && (await refresh(used))) return api(path, { body, key }, true)
    const answer = await response.json()
    if (response.ok) return answer
    if (response.status === 401 && used) leave(words('You were signed out. Please sign in again.', '你已退出，请重新登录。'))
    // Somebody who is no admin, or not any more.
    if (response.status === 403 && used) leave(answer.error)
    throw new Error(answer.code === 'AUTHENTICATION_FAILED' ? answer.details : answer.error)
  }

  /** A lost answer may be asked for again by the browser: the key makes it one effect. */
  const post = (path, body = {}) => api(path, { body, key: Date.now() + '-' + Math.random() })

  /** What goes wrong is said; until it is over the button cannot be pressed again. */
  async function attempt(work, button) {
    if (button) isBusy = button.disabled = true
    try {
      await work()
    } catch (err) {
      say(err.message)
    } finally {
      if (button) isBusy = button.disabled = false
    }
  }
  let isBusy = false

  /** Gives whether there is a new token. One at a time: a refresh token that is used twice ends the session. */
  function refresh(used) {
    if (session?.token !== used) return Promise.resolve(Boolean(session))
    refreshing ??= (async () => {
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify({ refresh_token: session.refresh_token })
      const response = await fetch('./api/auth/refresh', { method: 'POST', headers, body })
      if (response.ok) keepSession(await response.json())
      return response.ok
    })().finally(() => { refreshing = undefined })
    return refreshing
  }

  function enter() {
    byId('door').hidden = Boolean(session)
    byId('desk').hidden = !session
    if (session) return show()
  }

  function leave(text) {
    sessionStorage.removeItem(KEPT)
    session = undefined
    for (const table of document.querySelectorAll('#desk tbody, #overview')) table.replaceChildren()
    byId('one').hidden = true
    byId('secret').hidden = true
    enter()
    say(text)
  }

  function handle(form, path) {
    byId(form).onsubmit = (event) => {
      event.preventDefault()
      const given = Object.fromEntries(new FormData(event.target))
      attempt(async () => {
        keepSession(await api(path, { body: given }))
        event.target.reset()
        say('')
        await enter()
      }, event.submitter)
    }
  }
  handle('sign-in', '/api/auth/login')
  handle('set-up', '/api/admin/setup')
  byId('sign-out').onclick = ({ target }) =>
    attempt(async () => {
      await api('/api/auth/logout', { body: {} })
      if (session) leave(words('You are signed out.', '你已退出。'))
    }, target)
`
