import { consoleDeskScript } from './console-desk-page.ts'
import { consoleSessionScript } from './console-session-page.ts'

/** What goes on, for operators: webhooks, bots, people, the audit. Nothing is loaded from elsewhere. */
export const consolePage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lactea console</title><link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 0 .75rem 2rem }
  h1 { font-size: 1.4rem; margin: .75rem 0 }
  h2 { font-size: 1.1rem; margin: 1.5rem 0 .25rem }
  form, .row { display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0; align-items: end }
  label { display: flex; flex-direction: column; font-size: .85rem; flex: 1 1 10rem; min-width: 0 }
  label.inline { flex: 0 0 auto; flex-direction: row; gap: .3rem; align-items: center }
  input, button { font: inherit; font-size: 1rem; padding: .35rem .5rem; min-width: 0; box-sizing: border-box; max-width: 100% }
  td button { font-size: .8rem; padding: .1rem .4rem; margin: 0 .25rem .25rem 0 }
  .scroll { overflow: auto; max-height: 26rem; border: 1px solid #8888; border-radius: .3rem }
  table { border-collapse: collapse; width: 100%; font-size: .85rem }
  th, td { text-align: start; padding: .25rem .5rem; vertical-align: top; overflow-wrap: anywhere }
  th { position: sticky; top: 0; background: Canvas; white-space: nowrap }
  tr + tr td { border-top: 1px solid #8884 }
  dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .5rem; margin: 0 }
  dl > * { margin: 0 }
  dt { opacity: .75; font-size: .8rem; grid-row: auto }
  dd { font-weight: 600 }
  #secret { border: 2px solid #c83; border-radius: .3rem; padding: .5rem; margin: .5rem 0 }
  code { overflow-wrap: anywhere }
  [hidden] { display: none !important }
</style>
<main>
  <h1 data-zh="Lactea 控制台">Lactea console</h1>
  <section id="door" aria-label="Sign in" hidden>
    <form id="sign-in">
      <label><span data-zh="用户名">Username</span> <input name="username" autocomplete="username" autocapitalize="none" required></label>
      <label><span data-zh="密码">Password</span> <input name="password" type="password" autocomplete="current-password" required></label>
      <button data-zh="登录">Sign in</button>
    </form>
    <h2 data-zh="第一次来？">The first visit?</h2>
    <p data-zh="首次启动时显示的设置码可创建第一个管理员；用 lactea operator setup-code 可生成新的。">The set-up code that the first start has shown makes the first admin; lactea operator setup-code makes a new one.</p>
    <form id="set-up">
      <label><span data-zh="设置码">Set-up code</span> <input name="setup_code" autocomplete="off" required></label>
      <label><span data-zh="用户名">Username</span> <input name="username" autocomplete="username" autocapitalize="none" required></label>
      <label><span data-zh="密码">Password</span> <input name="password" type="password" autocomplete="new-password" minlength="6" required></label>
      <button data-zh="创建管理员">Make the admin</button>
    </form>
  </section>
  <div id="secret" role="alert" hidden>
    <span id="secret-what"></span>, <span data-zh="仅显示这一次：">shown this once:</span> <code id="secret-value"></code>
    <button id="secret-off" data-zh="关闭">Close</button>
  </div>
  <p id="state" role="status"></p>
  <div id="desk" hidden>
    <div class="row">
      <button id="reload" data-zh="刷新">Refresh</button>
      <label class="inline"><input id="live" type="checkbox" checked> <span data-zh="自动刷新">by itself</span></label>
      <button id="sign-out" data-zh="退出">Sign out</button>
    </div>
    <dl id="overview"></dl>
    <h2>Webhooks</h2>
    <div class="scroll"><table aria-label="Webhooks"><thead><tr>
      <th>ID</th><th data-zh="机器人">Bot</th><th data-zh="地址">Address</th><th data-zh="状态">State</th><th data-zh="失败自">Failing since</th><th data-zh="等待">Waiting</th><th data-zh="死信">Dead</th><th></th>
    </tr></thead><tbody id="webhooks"></tbody></table></div>
    <section id="one" aria-label="One webhook" hidden>
      <div class="row"><h2 id="one-title"></h2> <button id="one-off" data-zh="关闭">Close</button></div>
      <h2 data-zh="死信">Dead deliveries</h2>
      <div class="scroll"><table aria-label="Dead deliveries"><thead><tr>
        <th data-zh="事件">Event</th><th data-zh="时间">Time</th><th data-zh="尝试次数">Tries</th><th></th>
      </tr></thead><tbody id="dead"></tbody></table></div>
      <h2 data-zh="最近的尝试">Last attempts</h2>
      <div class="scroll"><table aria-label="Attempts"><thead><tr>
        <th data-zh="时间">Time</th><th data-zh="事件">Event</th><th data-zh="第几次">Try</th><th data-zh="状态码">Status</th><th data-zh="耗时">Took</th><th data-zh="结果">What came</th><th></th>
      </tr></thead><tbody id="attempts"></tbody></table></div>
    </section>
    <h2 data-zh="机器人">Bots</h2>
    <div class="scroll"><table aria-label="Bots"><thead><tr>
      <th>ID</th><th data-zh="昵称">Name</th><th data-zh="启用">On</th><th data-zh="在线">Online</th><th data-zh="有令牌">Token</th><th></th>
    </tr></thead><tbody id="bots"></tbody></table></div>
    <h2 data-zh="用户">People</h2>
    <div class="scroll"><table aria-label="People"><thead><tr>
      <th>ID</th><th data-zh="用户名">Username</th><th data-zh="昵称">Name</th><th data-zh="启用">On</th><th data-zh="管理员">Admin</th><th data-zh="连接">Sockets</th><th></th>
    </tr></thead><tbody id="users"></tbody></table></div>
    <h2 data-zh="审计">Audit</h2>
    <div class="scroll"><table aria-label="Audit"><thead><tr>
      <th data-zh="时间">Time</th><th data-zh="操作者">Who</th><th data-zh="来自">From</th><th data-zh="操作">What</th><th data-zh="对象">On what</th><th data-zh="详情">Details</th>
    </tr></thead><tbody id="audit"></tbody></table></div>
  </div>
</main>
<script>${consoleSessionScript}${consoleDeskScript}</script>
`
