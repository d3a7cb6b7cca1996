/** What an operator looks at and does on `/console`. */
export const consoleDeskScript = `
  // What there is.

  let shown
  const time = (text) => (text ? new Date(text).toLocaleString() : '')
  const cells = (...values) =>
    make('tr', {}, ...values.map((value) => make('td', {}, ...(Array.isArray(value) ? value : [value ?? '']))))
  const fill = (id, rows) => byId(id).replaceChildren(...rows)

  function button(text, work) {
    const made = make('button', { type: 'button', textContent: text })
    made.onclick = () => attempt(async () => { await work(); await show() }, made)
    return made
  }
  const sure = (text) => { if (!confirm(text)) throw new Error(words('Nothing was done.', '未做任何更改。')) }

  async function show() {
    const [overview, webhooks, bots, users, audit] = await Promise.all([
      api('/api/admin/overview'),
      api('/api/admin/webhooks'),
      api('/api/admin/bots?limit=100'),
      api('/api/admin/users?limit=100'),
      api('/api/admin/audit?limit=50')
    ])
    if (!session) return
    fill('overview', Object.entries(describe(overview)).map(([term, value]) =>
      make('div', {}, make('dt', { textContent: term }), make('dd', { textContent: value }))
    ))
    fill('webhooks', webhooks.webhooks.map(toWebhook))
    fill('bots', bots.bots.map(toBot))
    fill('users', users.users.map(toUser))
    fill('audit', audit.entries.map((entry) =>
      cells(time(entry.time), entry.operator, entry.ip, entry.action, entry.subject, toDetails(entry.details))
    ))
    if (shown) await showOne(shown)
  }

  const toDetails = (details) =>
    Object.entries(details).map(([name, value]) => name + ': ' + (typeof value === 'object' ? JSON.stringify(value) : value)).join(', ')

  function describe(overview) {
    const { active, paused, disabled } = overview.webhooks
    const hours = Math.floor(overview.uptime / 3600)
    return {
      [words('Version', '版本')]: overview.version,
      [words('Running for', '已运行')]: hours + ' h ' + Math.floor((overview.uptime % 3600) / 60) + ' min',
      [words('Events', '事件')]: overview.events,
      [words('Database', '数据库')]: (overview.database_bytes / 1048576).toFixed(1) + ' MiB',
      [words('Sockets', '连接')]: overview.sockets,
      [words('Sessions', '会话')]: overview.sessions,
      [words('Bots online', '在线机器人')]: overview.bots_online + ' / ' + overview.bots,
      [words('People', '用户')]: overview.users,
      [words('Webhooks: active, paused, off', 'Webhook：启用、暂停、停用')]: [active, paused, disabled].join(', '),
      [words('Deliveries that wait, and dead ones', '等待投递与死信')]: overview.waiting + ', ' + overview.dead
    }
  }

  // Webhooks.

  const STATES = {
    active: words('active', '启用'),
    paused: words('paused', '已暂停'),
    disabled: words('off', '已停用')
  }

  function toWebhook(webhook) {
    const path = '/api/admin/webhooks/' + webhook.id
    const state = STATES[webhook.state] + (webhook.reason ? ': ' + webhook.reason : '')
    const buttons = [
      webhook.state === 'active'
        ? button(words('Pause', '暂停'), () => post(path + '/pause'))
        : button(words('Resume', '恢复'), () => post(path + '/resume')),
      button(words('Look', '查看'), () => { shown = webhook.id })
    ]
    if (webhook.dead > 0) buttons.push(button(words('Send the dead again', '重发死信'), () => replay(webhook.id, { dead: true })))
    return cells(
      webhook.id, String(webhook.bot_id), webhook.url, state, time(webhook.failing_since),
      String(webhook.waiting), String(webhook.dead), buttons
    )
  }

  async function replay(id, choice) {
    const { due } = await post('/api/admin/webhooks/' + id + '/replay', choice)
    say(words('Sent again: ', '重新发送：') + due)
  }

  async function showOne(id) {
    const path = '/api/admin/webhooks/' + id
    const [dead, tried] = await Promise.all([api(path + '/deliveries?limit=100'), api(path + '/attempts?limit=50')])
    byId('one').hidden = false
    byId('one-title').textContent = id
    const again = (event) => button(words('Send again', '重发'), () => replay(id, { events: [event] }))
    fill('dead', dead.deliveries.map((one) =>
      cells(String(one.event_id), time(one.created_at), String(one.attempts), [again(one.event_id)])
    ))
    fill('attempts', tried.attempts.map((one) => cells(
      time(one.time), String(one.event_id), String(one.number), String(one.status ?? '–'), one.latency_ms + ' ms',
      [one.error, one.answer].filter(Boolean).join(': '), [again(one.event_id)]
    )))
  }
  byId('one-off').onclick = () => { shown = undefined; byId('one').hidden = true }

  // Bots and people.

  function reveal(what, secret) {
    byId('secret').hidden = false
    byId('secret-what').textContent = what
    byId('secret-value').textContent = secret
  }
  byId('secret-off').onclick = () => { byId('secret').hidden = true; byId('secret-value').textContent = '' }

  const yes = (value) => (value ? words('yes', '是') : words('no', '否'))

  function toBot(bot) {
    const path = '/api/admin/bots/' + bot.id
    const buttons = bot.on
      ? [
          button(words('New token', '新令牌'), async () => {
            sure(words('The token that it has will be void. Go on?', '现有令牌将失效，继续吗？'))
            reveal(words('Token of bot ', '机器人令牌 ') + bot.id, (await post(path + '/token')).access_token)
          }),
          button(words('Switch off', '停用'), () => {
            sure(words('Switch it off for good?', '确定永久停用？'))
            return post(path + '/remove')
          })
        ]
      : []
    return cells(String(bot.id), bot.nickname, yes(bot.on), yes(bot.online), yes(bot.has_token), buttons)
  }

  function toUser(user) {
    const path = '/api/admin/users/' + user.id
    const buttons = user.on
      ? [
          button(words('Sign out', '强制退出'), () => post(path + '/sign-out')),
          button(user.admin ? words('No admin', '取消管理员') : words('Admin', '设为管理员'), () =>
            post(path + '/admin', { admin: !user.admin })
          ),
          button(words('New password', '新密码'), async () => {
            sure(words('Their password will be void, and they are signed out. Go on?', '原密码将失效并强制退出，继续吗？'))
            reveal(words('Password of ', '密码：') + user.username, (await post(path + '/password')).password)
          }),
          button(words('Switch off', '停用'), () => {
            sure(words('Switch the account off for good?', '确定永久停用该账号？'))
            return post(path + '/remove')
          })
        ]
      : []
    return cells(
      String(user.id), user.username, user.nickname, yes(user.on), yes(user.admin), String(user.sockets), buttons
    )
  }

  // Nobody has to press a button to see what goes on; who reads what is there is not disturbed.

  byId('reload').onclick = ({ target }) => attempt(show, target)
  setInterval(() => {
    if (session && !isBusy && !document.hidden && byId('live').checked) attempt(show)
  }, 5000)
  attempt(() => enter())
`
