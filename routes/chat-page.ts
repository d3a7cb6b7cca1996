import { chatCallScript } from './chat-call-page.ts'
import { chatListScript } from './chat-list-page.ts'
import { chatMessagesScript } from './chat-messages-page.ts'
import { chatSessionScript } from './chat-session-page.ts'

/** A page to try the gateway as a person: sign in, chat, send pictures, call. Nothing is loaded from elsewhere. */
export const chatPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lactea chat</title><link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 0 .75rem }
  h1 { font-size: 1.4rem; margin: .75rem 0 }
  h2 { font-size: 1.1rem; margin: 0 }
  form, .row { display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0; align-items: end }
  label { display: flex; flex-direction: column; font-size: .85rem; flex: 1 1 8rem; min-width: 0 }
  label.wide { flex: 4 1 12rem }
  input, button { font: inherit; font-size: 1rem; padding: .4rem .5rem; min-width: 0; box-sizing: border-box; max-width: 100% }
  ul { list-style: none; margin: .5rem 0; padding: 0; max-height: 40vh; overflow: auto }
  li > button { width: 100%; text-align: start; overflow-wrap: anywhere }
  li > button[aria-current=true] { font-weight: 600 }
  .badge { background: #c33; color: #fff; border-radius: 1rem; padding: 0 .5rem; margin-inline-start: .5rem; font-size: .85rem }
  #room { display: grid; grid-template-columns: minmax(11rem, 1fr) 3fr; gap: 1rem }
  #room > * { min-width: 0 }
  #log { border: 1px solid #8888; border-radius: .3rem; height: 50vh; overflow: auto; padding: .5rem }
  .message { white-space: pre-wrap; overflow-wrap: anywhere; margin-bottom: .3rem }
  .message time, .message small, .quote, .dim { opacity: .75; font-size: .85rem }
  .message button { font-size: .75rem; padding: 0 .3rem; margin-inline-start: .3rem }
  .quote { display: block; border-inline-start: 3px solid #8888; padding-inline-start: .4rem }
  .message img, .message video { display: block; max-width: min(100%, 20rem); max-height: 20rem }
  #call, .notice { border: 2px solid #38c; border-radius: .3rem; padding: .5rem; margin: .5rem 0 }
  #call video { background: #0008; width: 45%; max-height: 14rem }
  [hidden] { display: none !important }
  @media (max-width: 40rem) { #room { grid-template-columns: 1fr } ul { max-height: 20vh } }
</style>
<main>
  <h1>Lactea chat</h1>
  <form id="sign-in" hidden>
    <label>Username <input name="username" autocomplete="username" autocapitalize="none" required></label>
    <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
    <label>Invitation (new account) <input name="invite" autocomplete="off"></label>
    <button name="how" value="login">Sign in</button>
    <button name="how" value="register">New account</button>
  </form>
  <div id="notices" role="alert"></div>
  <section id="call" aria-label="Call" hidden>
    <p id="call-state" role="status"></p>
    <div class="row">
      <video id="theirs" aria-label="Picture of the other side" autoplay playsinline></video>
      <video id="mine" aria-label="Your own picture" autoplay playsinline muted></video>
    </div>
    <button id="accept">Accept</button>
    <button id="hang-up">Hang up</button>
  </section>
  <div id="room" hidden>
    <nav aria-label="Chats and people">
      <form id="find" role="search">
        <label>Find people and bots, by name or account id <input name="keyword" type="search" required></label>
        <button>Find</button>
      </form>
      <ul id="found" aria-label="People found"></ul>
      <ul id="chats" aria-label="Chats"></ul>
      <button id="sign-out">Sign out</button>
    </nav>
    <section aria-label="Chat">
      <div class="row">
        <h2 id="title"></h2> <span id="about" class="dim" aria-live="polite"></span>
        <span id="call-buttons" hidden>
          <button id="call-audio">Call</button>
          <button id="call-video">Video call</button>
        </span>
      </div>
      <button id="older" hidden>Older messages</button>
      <div id="log" role="log" aria-label="Messages" tabindex="0"></div>
      <p id="aim" hidden><span id="aim-text"></span> <button id="aim-off">Cancel</button></p>
      <form id="send" hidden>
        <label class="wide">Message
          <input name="content" autocomplete="off" maxlength="4096" enterkeyhint="send"></label>
        <label>Picture or file <input name="file" type="file"></label>
        <button id="send-button">Send</button>
      </form>
    </section>
  </div>
  <p id="state" role="status"></p>
</main>
<script>${chatSessionScript}${chatListScript}${chatMessagesScript}${chatCallScript}</script>
`
