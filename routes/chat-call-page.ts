/** Calls on `/chat`: WebRTC between two browsers, brought together by the document's `call.*` frames. */
export const chatCallScript = `
  // Calls. One at a time: the gateway sees to that, too.

  const ENDS = {
    user_hangup: 'The call is over',
    user_rejected: 'The call was declined',
    user_busy: 'They are in another call',
    timeout: 'Nobody answered',
    network_error: 'The connection of the call was lost',
    answered_elsewhere: 'The call was answered on another device',
    server_error: 'The gateway could not carry the call'
  }
  /** The call that goes on, from the first ring to its end. */
  let talk
  /** An offer that came while we were calling ourselves, and the call that won when two call each other at once. */
  let heldOffer, wonCallId
  /** What is to be said about calls as soon as there is a connection. */
  let callFrames = []

  const isInCall = () => Boolean(talk)

  function sayCall(text) {
    byId('call-state').textContent = text
    byId('call').hidden = !talk
    byId('accept').hidden = !talk || talk.isCaller || talk.isAccepted
    for (const id of ['theirs', 'mine']) byId(id).hidden = talk?.kind !== 'video'
    byId('hang-up').textContent = talk && !talk.isCaller && !talk.isAccepted ? 'Decline' : 'Hang up'
    drawHeader()
  }

  function flushCallFrames() {
    while (callFrames.length && isConnected()) {
      const { type, payload } = callFrames.shift()
      sendFrame(type, payload)
    }
  }

  function tellCall({ id }, type, payload) {
    callFrames.push({ type, payload: { ...payload, call_id: id } })
    flushCallFrames()
  }

  /** Offer or answer first, then what was found out meanwhile. */
  function introduce(own, type, payload) {
    tellCall(own, type, payload)
    own.isIntroduced = true
    for (const ice_candidate of own.candidates.splice(0)) tellCall(own, 'call.ice', { ice_candidate })
  }

  const newTalk = (fields) => ({ candidates: [], early: [], stream: new MediaStream(), ...fields })

  /** A call that cannot be carried out is over for both. */
  const carryOut = (work) =>
    attempt(() =>
      work().catch((err) => {
        hangUp('network_error')
        throw err
      })
    )

  async function startCall(kind) {
    if (talk || !isConnected()) return say(talk ? 'You are in a call.' : 'Not connected now.')
    const bytes = crypto.getRandomValues(new Uint8Array(16))
    const id = 'call_' + [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
    const own = talk = newTalk({ id, kind, peerId: chats.get(current).peer, isCaller: true })
    sayCall('Calling ' + nameOf(own.peerId) + ' …')
    if (!(await openPeer(own))) return
    watchChannel(own, own.pc.createDataChannel('lactea'))
    addTracks(own)
    // What we cannot send we can still receive.
    for (const wanted of kind === 'video' ? ['audio', 'video'] : ['audio'])
      if (!own.stream.getTracks().some((track) => track.kind === wanted))
        own.pc.addTransceiver(wanted, { direction: 'recvonly' })
    await own.pc.setLocalDescription()
    if (talk !== own) return
    introduce(own, 'call.offer', { to_user: own.peerId, call_type: kind, sdp: own.pc.localDescription.sdp })
  }

  async function acceptCall() {
    const own = talk
    own.isAccepted = true
    sayCall('Answering ' + nameOf(own.peerId) + ' …')
    if (!(await openPeer(own))) return
    own.pc.ondatachannel = ({ channel }) => watchChannel(own, channel)
    await own.pc.setRemoteDescription({ type: 'offer', sdp: own.sdp })
    addTracks(own)
    await own.pc.setLocalDescription()
    if (talk !== own) return
    own.answeredAt = Date.now()
    introduce(own, 'call.answer', { sdp: own.pc.localDescription.sdp })
    takeEarly(own)
  }

  /** False when the call was over before everything was there. */
  async function openPeer(own) {
    const [{ ice_servers }, stream] = await Promise.all([
      api('/api/calls/ice-servers').catch(() => ({ ice_servers: [] })),
      takeMedia(own.kind)
    ])
    if (talk !== own) {
      for (const track of stream.getTracks()) track.stop()
      return false
    }
    own.stream = stream
    byId('mine').srcObject = stream
    own.lacks = describeLack(own, (kind) => stream.getTracks().some((track) => track.kind === kind))
    const pc = own.pc = new RTCPeerConnection({ iceServers: ice_servers })
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate || talk !== own) return
      const { sdpMLineIndex, sdpMid } = candidate
      const ice_candidate = { candidate: candidate.candidate, sdpMLineIndex, sdpMid }
      if (own.isIntroduced) tellCall(own, 'call.ice', { ice_candidate })
      else own.candidates.push(ice_candidate)
    }
    pc.ontrack = ({ track, streams }) => { byId('theirs').srcObject = streams[0] ?? new MediaStream([track]) }
    pc.onconnectionstatechange = () => talk === own && followPeer(own)
    return true
  }

  /** As much as there is: a call needs neither microphone nor camera, nor the leave to use them. */
  async function takeMedia(kind) {
    const wishes = kind === 'video' ? [{ audio: true, video: true }, { audio: true }, { video: true }] : [{ audio: true }]
    for (const wish of wishes) {
      try { return await navigator.mediaDevices.getUserMedia(wish) } catch {}
    }
    return new MediaStream()
  }

  function addTracks({ pc, stream }) {
    for (const track of stream.getTracks()) pc.addTrack(track, stream)
  }

  /** In words what is missing of a call of this kind. */
  function describeLack({ kind }, has) {
    const lack = [!has('audio') && 'no sound', kind === 'video' && !has('video') && 'no picture'].filter(Boolean)
    return lack.join(' and ')
  }

  /** Each side tells the other what it has to send. */
  function watchChannel(own, channel) {
    channel.onopen = () => {
      const kinds = own.stream.getTracks().map((track) => track.kind)
      channel.send(JSON.stringify({ audio: kinds.includes('audio'), video: kinds.includes('video') }))
    }
    channel.onmessage = ({ data }) => {
      if (talk !== own || typeof data !== 'string' || data.length > 1000) return
      try {
        const sent = JSON.parse(data)
        own.theyLack = describeLack(own, (kind) => Boolean(sent?.[kind]))
      } catch { return }
      followPeer(own)
    }
  }

  function followPeer(own) {
    const state = own.pc.connectionState
    if (state === 'failed') return hangUp('network_error')
    if (state === 'disconnected') return sayCall('The connection of the call is bad just now …')
    if (state !== 'connected') return
    const lacks = (own.lacks ? ' You send ' + own.lacks + '.' : '') + (own.theyLack ? ' They send ' + own.theyLack + '.' : '')
    sayCall('In a call with ' + nameOf(own.peerId) + '.' + lacks)
  }

  function takeEarly(own) {
    // One that a browser does not understand is no loss: others follow.
    for (const candidate of own.early.splice(0)) own.pc.addIceCandidate(candidate).catch(() => {})
  }

  function finishCall(text) {
    const own = talk
    if (!own) return
    talk = undefined
    callFrames = callFrames.filter(({ type, payload }) => type === 'call.end' || payload.call_id !== own.id)
    own.pc?.close()
    for (const track of own.stream.getTracks()) track.stop()
    for (const id of ['theirs', 'mine']) byId(id).srcObject = null
    sayCall('')
    if (text) say(text)
    const offer = heldOffer
    heldOffer = undefined
    if (offer) ring(offer)
  }

  const toDuration = (seconds) => (seconds > 0 ? ', after ' + seconds + ' s' : '') + '.'

  function hangUp(reason) {
    const own = talk
    if (!own) return
    const isRejected = !own.isCaller && !own.isAccepted
    if (!own.isCaller || own.isIntroduced)
      tellCall(own, 'call.end', { reason: reason ?? (isRejected ? 'user_rejected' : 'user_hangup') })
    const seconds = own.answeredAt ? Math.round((Date.now() - own.answeredAt) / 1000) : 0
    finishCall((reason ? ENDS[reason] : isRejected ? 'You have declined' : 'You have hung up') + toDuration(seconds))
  }

  function ring({ call_id: id, from_user: peerId, call_type: kind, sdp, ice_candidates: early }) {
    talk = newTalk({ id, kind, peerId, sdp, early: [...early], isCaller: false })
    const isWon = id === wonCallId
    wonCallId = undefined
    if (isWon) return carryOut(acceptCall)
    announce(talk)
    byId('accept').focus()
    // Who calls may have begun the chat with it.
    if (![...chats.values()].some((chat) => chat.peer === peerId)) loadChatsSoon()
    if (!people.has(peerId)) api('/api/users/' + peerId).then(({ data }) => { meet(data); announce(talk) }, () => {})
  }

  function announce(own) {
    if (!own || own.isCaller || own.isAccepted) return
    sayCall(nameOf(own.peerId) + (own.kind === 'video' ? ' calls you, with picture.' : ' calls you.'))
  }

  function hearOffer(offer) {
    if (!talk) return ring(offer)
    // A connection that comes while it rings is told everything again.
    if (talk.id === offer.call_id && !talk.isAccepted) Object.assign(talk, { sdp: offer.sdp, early: [...offer.ice_candidates] })
    else if (talk.isCaller) heldOffer = offer
  }

  async function hearAnswer({ call_id, sdp, ice_candidates }) {
    const own = talk
    if (own?.id !== call_id || !own.isCaller || own.answeredAt) return
    own.answeredAt = Date.now()
    own.early.unshift(...ice_candidates)
    await own.pc.setRemoteDescription({ type: 'answer', sdp })
    takeEarly(own)
  }

  function hearCandidate({ call_id, ice_candidate }) {
    if (heldOffer?.call_id === call_id) return void heldOffer.ice_candidates.push(ice_candidate)
    if (talk?.id !== call_id) return
    talk.early.push(ice_candidate)
    if (talk.pc?.remoteDescription) takeEarly(talk)
  }

  function hearEnd({ call_id, reason, duration }) {
    if (heldOffer?.call_id === call_id) heldOffer = undefined
    if (talk?.id === call_id) finishCall((ENDS[reason] ?? 'The call has ended: ' + reason) + toDuration(duration))
  }

  /** When two call each other at once one call wins, and taking it is what both wanted. */
  function failCall({ reason, call_id, ref_type }, message) {
    if (ref_type === 'call.offer' && reason === 'glare') wonCallId = call_id
    if (ref_type === 'call.offer' || ref_type === 'call.answer') finishCall(message)
  }

  byId('call-audio').onclick = () => carryOut(() => startCall('audio'))
  byId('call-video').onclick = () => carryOut(() => startCall('video'))
  byId('accept').onclick = () => carryOut(acceptCall)
  byId('hang-up').onclick = () => hangUp()
  // A page that is gone cannot talk any more, but its session would be waited for. What rings goes on ringing.
  addEventListener('pagehide', () => { if (talk?.isCaller || talk?.isAccepted) hangUp() })

  enter()
`
