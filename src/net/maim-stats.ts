/** What one door, or one kind of link, of maim_message has seen since the start. */
export interface DoorStats {
  /** Open now. */
  connections: number
  /** Accounts (for the legacy door: platforms) with an open connection now. */
  users: number
  /** Messages that peers sent us, acknowledgements apart. */
  received: number
  /** Messages that were given to a connection for the first time; a message for three connections counts three times. */
  sent: number
  /** Acknowledgements that we sent, and that peers sent us. */
  acksOut: number
  acksIn: number
  /** Messages that were sent again because nobody acknowledged them. */
  repeats: number
  /** Handshakes that were turned away, or connections right after them. */
  refused: number
  /** Messages that peers sent again and that were not done again. */
  duplicates: number
  /** Messages that were written down because nobody was there to take them, and those of them that somebody took later. */
  kept: number
  keptDelivered: number
  /** Messages that were given up, by reason. */
  dropped: Record<Dropped, number>
  /** Messages that were for nobody we know. */
  undeliverable: number
}

/** `too many`: the oldest beyond the bound of a road. `too large`: more than the peer takes. `not told`: the event could not be put into words. */
export type Dropped = 'too old' | 'too many' | 'never acknowledged' | 'too large' | 'not told'

/** Plain numbers; whoever counts adds to them, whoever shows them reads them. */
export interface MaimStats {
  readonly api: DoorStats
  readonly legacy: DoorStats
  readonly links: DoorStats
}

function createDoorStats(): DoorStats {
  return {
    connections: 0,
    users: 0,
    received: 0,
    sent: 0,
    acksOut: 0,
    acksIn: 0,
    repeats: 0,
    refused: 0,
    duplicates: 0,
    kept: 0,
    keptDelivered: 0,
    dropped: { 'too old': 0, 'too many': 0, 'never acknowledged': 0, 'too large': 0, 'not told': 0 },
    undeliverable: 0
  }
}

export function createMaimStats(): MaimStats {
  return { api: createDoorStats(), legacy: createDoorStats(), links: createDoorStats() }
}
