/**
 * What one client listens to, and what is on its way to it. Its channels are served by the database's shared connection
 * (shared-connection.ts), so that it needs no server connection to hear of anything.
 *
 * LISTEN itself runs on the client's own server connection: what it does, and whether it lasts, is PostgreSQL's. While its
 * outcome is not known, its channels are *claimed*: what comes on them is kept. The answer behind the transaction (state-probe.ts)
 * makes them the client's, or drops them.
 */

import type { ChannelCommands } from '../../sql/channel-commands.js';
import { SessionEffect } from '../../sql/session-effect.js';
import * as Backend from '../../wire/backend.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import { CHANNELS_PER_CLIENT_MAX, NOTIFICATION_BYTES_MAX } from '../limits.js';
import type { ListenerEnd } from '../link.js';
import type { ServerConnection } from '../server/server-connection.js';
import { type FoundState, Pin } from '../session-state.js';
import { replay, UNLISTEN_ALL } from './channel-queries.js';
import type { Channels } from './channels.js';
import { lostNotice, NOT_CONVERTIBLE, TOO_MANY_NOTIFICATIONS } from './listening-messages.js';
import { type Notification, withProcessId } from './notification.js';

/** The client, as this sees it. */
export interface ListeningClient {
  readonly id: number;
  readonly link: ServerConnection | null;
  /** By which it knows itself. */
  readonly processId: number;
  readonly inputEnded: boolean;
  /** It stands in front of a statement. */
  readonly isBlocked: boolean;
  /** Its session follows it. */
  readonly tracksState: boolean;
  /** Its encoding is UTF-8. */
  readonly readsUtf8: boolean;
  /** Something may be said to it now: it is between two transactions. */
  readonly isAtRest: boolean;
  /** Sends to it; true when it can't take more for now. */
  tell(message: Uint8Array): boolean;
  /** Its ReadyForQuery is kept back, and what it sends meanwhile. */
  holdReady(): void;
  /** It gets its ReadyForQuery, and goes on. */
  releaseReady(): void;
  /** What it waited for in front of a statement has come. */
  retry(): void;
  fail(error: ErrorFields): void;
}

/** Something for the client; null: a notice of ours, that waits for no channel. */
interface Kept {
  readonly notification: Notification | null;
  readonly processId: number;
  readonly message: Uint8Array;
}

/** After which a statement no longer waits for its replay: the client's own statement_timeout may be too short for it. */
const REPLAYS_MAX = 3;

/** How often the server is asked what has come of a LISTEN or UNLISTEN, when it does not say. */
const QUESTIONS_MAX = 3;

/** Which question to the shared connection the client waits for, in front of a statement or behind its transaction. */
type Question = 'none' | 'asked' | 'answered';

export class Listener implements ListenerEnd {
  readonly takesReady = false;
  readonly client: ListeningClient;
  private readonly hub: Channels;
  private readonly own = new Set<string>();
  private readonly claimed = new Set<string>();
  private kept: Kept[] = [];
  private keptBytes = 0;
  private isCongested = false;
  private hasLeft = false;
  /** Non-null: to be ended when it is between two transactions. */
  private ending: ErrorFields | null = null;
  /** Whether the shared connection listens to what is claimed. */
  private subscription: Question = 'none';
  /** What the LISTEN that waits for that claims, beside what has been claimed before. */
  private unsent: readonly string[] = [];
  /** Whether all has come that was sent before the client got its server connection. */
  private clearance: Question = 'none';
  /** Non-null: what comes from this server process is the client's own, as long as it has served nobody else since. */
  private cleared: { readonly server: ServerConnection; readonly turn: number } | null = null;
  /** Its transaction may have sent something to itself, which comes before ReadyForQuery. */
  private awaitsOwn = false;
  isReadyHeld = false;
  /** A statement comes next that takes channels away, or shows them. */
  wantsReplay = false;
  /** Whether the replay that a statement waits for has been done. */
  private replaying: Question = 'none';
  /** How many of them in a row have failed. */
  private replaysFailed = 0;
  /** How many times in a row the server has not said what the session holds. */
  private unanswered = 0;
  /** It was done outside of a transaction: the server connection has listened to all of it, whatever comes of the statement. */
  private isReplaySure = false;
  /** Of the replay since the server was asked last what the session holds; empty: there was none. */
  private mark = '';
  /** Channels for which the client keeps its server connection. */
  private ofLink: ReadonlySet<string> = new Set();
  /** The linked server connection listens to what the shared one does, as it has said. */
  private isLinkListening = false;

  constructor(client: ListeningClient, hub: Channels) {
    this.client = client;
    this.hub = hub;
  }

  /** The channels that are its own, for people. */
  get channels(): ReadonlySet<string> {
    return this.own;
  }

  private get listens(): boolean {
    return this.own.size + this.claimed.size > 0;
  }

  // --- Before a statement -------------------------------------------------------------------------------------

  /** Whether a statement may be sent now; else {@link ListeningClient.retry} is called when it is to be judged again. */
  admits(effects: number, { listens, unlistens }: ChannelCommands): boolean {
    if (listens !== null && listens.length > 0) {
      if (!this.claim(listens)) return false;
      // A transaction that notifies and then listens hears itself.
      this.awaitsOwn = true;
    }
    const notifies = (effects & (SessionEffect.NOTIFY | SessionEffect.STATE)) !== 0;
    if (notifies && this.listens) {
      if (!this.isClear()) return false;
      this.awaitsOwn = true;
    }
    this.wantsReplay = this.own.size > 0 && (unlistens || (effects & SessionEffect.CHANNELS) !== 0);
    return true;
  }

  /** False: the shared connection is being told. What it can't be told stays with the client's own server connection. */
  private claim(names: readonly string[]): boolean {
    if (this.subscription === 'asked') return false;
    // To what the server connection has listened before, it goes on to listen.
    const wanted = names.filter((name) => !this.own.has(name) && !this.ofLink.has(name));
    if (this.own.size + wanted.length > CHANNELS_PER_CLIENT_MAX) return true;
    if (this.subscription === 'none') this.unsent = wanted.filter((name) => !this.claimed.has(name));
    for (const name of wanted) {
      this.claimed.add(name);
      this.hub.add(name, this);
    }
    const isHeard = wanted.every((name) => this.hub.isListening(name));
    if (this.subscription === 'none' && !isHeard && !this.ask('subscription')) return false;
    this.subscription = 'none';
    const refused = wanted.filter((name) => !this.hub.isListening(name));
    for (const name of refused) this.drop(name);
    if (refused.length > 0) this.ofLink = new Set([...this.ofLink, ...refused]);
    return true;
  }

  /** A LISTEN that waited is not sent any more: something before it in its batch has failed, and all behind that is skipped. */
  private withdraw(): void {
    this.subscription = 'none';
    for (const name of this.unsent) if (this.claimed.has(name)) this.drop(name);
  }

  /** Nothing of another client's can be taken for this one's, by the process id of the server. */
  private isClear(): boolean {
    if (this.clearance === 'asked') return false;
    const server = this.client.link as ServerConnection;
    const isClear = this.cleared?.server === server && this.isUnshared;
    if (!isClear && this.clearance === 'none' && !this.ask('clearance')) return false;
    this.clearance = 'none';
    this.cleared = { server, turn: server.turns };
    return true;
  }

  /** Nobody else has had the cleared server connection since. */
  private get isUnshared(): boolean {
    return this.cleared !== null && this.cleared.server.turns === this.cleared.turn;
  }

  /** True: answered at once. */
  private ask(what: 'subscription' | 'clearance'): boolean {
    let isLater = false;
    this[what] = 'asked';
    this.hub.roundTrip(() => {
      if (this.hasLeft || this[what] !== 'asked') return;
      this[what] = 'answered';
      if (isLater) this.client.retry();
    });
    isLater = true;
    return this[what] !== 'asked';
  }

  /**
   * Before the statement that was admitted last. `inBatch`: in the extended protocol. False: it is being done, and
   * {@link ListeningClient.retry} is called when the statement is to be judged again.
   */
  replay(inBatch: boolean): boolean {
    this.wantsReplay = false;
    const link = this.client.link as ServerConnection;
    // A simple Query within a batch is nobody's custom: it leaves the channels as they are.
    if ((!inBatch && link.exchange.batchOpen) || this.isReplaySure) return this.goAhead();
    // Within a transaction that it fails the statement fails, too. Otherwise it must have been done: a cancel request may hit it.
    const isAwaited = !inBatch && link.exchange.statusOfNext === Backend.Idle;
    if (isAwaited && this.replaying === 'asked') return false;
    const isDone = isAwaited && (this.replaying === 'answered' || this.replaysFailed >= REPLAYS_MAX);
    if (isDone) return this.goAhead();
    this.sendReplay(link, inBatch, isAwaited);
    return !isAwaited;
  }

  private goAhead(): true {
    this.replaying = 'none';
    this.replaysFailed = 0;
    return true;
  }

  private sendReplay(link: ServerConnection, inBatch: boolean, isAwaited: boolean): void {
    const isRepeated = this.mark !== '';
    if (!isRepeated) this.mark = this.hub.newMark();
    // Also if the statement leaves nothing: the server connection listens.
    link.isSuspect = true;
    if (isAwaited) this.replaying = 'asked';
    const answered = isAwaited ? (error: ErrorFields | null) => this.replayed(error) : null;
    replay(link, { channels: this.own, mark: this.mark, isRepeated, inBatch, answered });
  }

  private replayed(error: ErrorFields | null): void {
    if (this.hasLeft) return;
    this.replaying = error === null ? 'answered' : 'none';
    this.isReplaySure = error === null;
    this.replaysFailed = error === null ? 0 : this.replaysFailed + 1;
    this.client.retry();
  }

  // --- The link -----------------------------------------------------------------------------------------------

  /** While its own notifications are awaited nobody else gets its server connection, and with it the process id. */
  get keepsLink(): boolean {
    return this.clearance === 'asked' || (this.isReadyHeld && this.awaitsOwn);
  }

  serves(channel: string): boolean {
    return this.own.has(channel) || this.claimed.has(channel);
  }

  beforeReady(isLast: boolean): boolean {
    if (this.subscription !== 'none' && !this.client.isBlocked) this.withdraw();
    this.flush(true);
    const { inputEnded } = this.client;
    if (!isLast || inputEnded || this.hasLeft) return true;
    if (this.awaitsOwn) {
      this.hub.roundTrip(() => {
        this.awaitsOwn = false;
        this.settle();
      });
    }
    if (!this.awaitsOwn && !this.isUncertain) return true;
    this.isReadyHeld = true;
    this.client.holdReady();
    return false;
  }

  /** Its transaction is over, and what it listens to will be known when the server has been asked. */
  private get isUncertain(): boolean {
    return (this.claimed.size > 0 || this.mark !== '') && this.client.link?.isSuspect === true;
  }

  /** Gives it its ReadyForQuery if everything has come that belongs before it. */
  settle(): void {
    if (!this.isReadyHeld || this.hasLeft || this.awaitsOwn) return;
    const { link, inputEnded } = this.client;
    // What is being asked, or prepared, on its server connection ends with linked() or stateFound().
    const isAsking = link?.isProbing === true || (this.isUncertain && !inputEnded);
    if (isAsking || link?.exchange.isAligning === true || link?.mayInterrupt() === false) return;
    this.flush(false);
    this.isReadyHeld = false;
    this.client.releaseReady();
    if (this.ending !== null) this.flush(false);
  }

  /**
   * What the server has said of the session: its channels become the client's own. What is returned has those alone that the
   * server connection must keep.
   */
  found(found: FoundState | null): FoundState | null {
    if (found === null) {
      // A cancel request may have hit the question.
      const { link } = this.client;
      const isOpen = this.claimed.size > 0 || this.mark !== '';
      if (isOpen && link !== null && this.unanswered < QUESTIONS_MAX) {
        this.unanswered += 1;
        link.isSuspect = true;
        return null;
      }
      // The session is pinned now; what it has claimed is more likely in force than not.
      this.unanswered = 0;
      for (const name of this.claimed) this.own.add(name);
      this.claimed.clear();
      this.forgetReplay();
      return null;
    }
    this.unanswered = 0;
    const isReplayed = this.isReplaySure || (this.mark !== '' && found.replay === this.mark);
    this.forgetReplay();
    const served = found.channels.filter((name) => this.own.has(name) || this.claimed.has(name));
    const kept = new Set(isReplayed ? served : [...this.own, ...served]);
    for (const name of kept) this.own.add(name);
    // A LISTEN that waits for the shared connection has not been sent yet.
    const awaited = new Set(this.subscription === 'none' ? [] : this.claimed);
    for (const name of [...this.claimed, ...this.own]) {
      if (kept.has(name)) this.claimed.delete(name);
      else if (!awaited.has(name)) this.drop(name);
    }
    const channels = found.channels.filter((name) => !kept.has(name));
    this.ofLink = new Set(channels);
    this.isLinkListening = channels.length === 0 && served.length > 0;
    const pins = channels.length === 0 ? found.pins & ~Pin.CHANNEL : found.pins;
    return { ...found, channels, pins };
  }

  private forgetReplay(): void {
    this.mark = '';
    this.isReplaySure = false;
  }

  /** The state of the session is known: the server connection needn't listen for it. */
  leaveLinkToOthers(): void {
    const { link } = this.client;
    if (this.isLinkListening) link?.runAside(UNLISTEN_ALL, true);
    this.isLinkListening = false;
    this.flush(false);
    this.settle();
  }

  /** DISCARD ALL has been carried out. */
  discarded(): void {
    for (const name of [...this.own, ...this.claimed]) this.drop(name);
  }

  linkIsFree(): void {
    this.flush(false);
    this.settle();
  }

  linkEnded(): void {
    this.clearance = 'none';
    this.replaying = 'none';
    this.replaysFailed = 0;
    this.unanswered = 0;
    this.forgetReplay();
    this.ofLink = new Set();
    this.isLinkListening = false;
    this.awaitsOwn &&= this.isReadyHeld;
    for (const name of [...this.claimed]) if (this.subscription === 'none') this.drop(name);
    this.flush(false);
    this.settle();
  }

  private drop(name: string): void {
    this.own.delete(name);
    this.claimed.delete(name);
    this.hub.remove(name, this);
  }

  /** The client has gone. */
  leave(): void {
    this.hasLeft = true;
    this.discarded();
    this.kept = [];
    this.hub.left(this);
  }

  // --- Delivery -----------------------------------------------------------------------------------------------

  /** Something has come over the shared connection, on a channel that it has asked for. */
  notified(notification: Notification): void {
    const isOwn = this.isUnshared && this.cleared?.server.processId === notification.serverProcessId;
    // Who has sent it is the client itself only where that is certain: it may skip what it has sent.
    const isMistaken = !isOwn && notification.processId === this.client.processId;
    const { serverProcessId, message } = notification;
    const others = isMistaken ? serverProcessId : notification.processId;
    const processId = isOwn ? this.client.processId : others;
    this.keep({ notification, processId, message });
  }

  /** Something may have been missed. */
  missed(): void {
    // What is claimed may have been in force for long: its server connection is asked when it rests.
    const names = new Set([...this.own, ...this.claimed]);
    if (names.size > 0) this.keep({ notification: null, processId: 0, message: lostNotice(names) });
  }

  /** The client is ended behind its transaction if it listens: from now on it would miss something, and not know. */
  end(error: ErrorFields): void {
    if (this.listens) this.ending = error;
    this.flush(false);
  }

  private keep(kept: Kept): void {
    this.kept.push(kept);
    this.keptBytes += kept.message.length;
    this.flush(false);
    if (!this.hasLeft && this.keptBytes > NOTIFICATION_BYTES_MAX) {
      this.hub.overrun();
      this.client.fail(TOO_MANY_NOTIFICATIONS);
    }
  }

  /** The client can take more. */
  drained(): void {
    this.isCongested = false;
    this.flush(false);
  }

  /** Sends what may be sent. `atReady`: in front of its ReadyForQuery, behind which it would be late, however slow its client is. */
  private flush(atReady: boolean): void {
    if (this.ending !== null && !atReady && !this.isReadyHeld && this.client.isAtRest) {
      return this.client.fail(this.ending);
    }
    // An UNLISTEN whose outcome is not known concerns what is kept.
    if (this.kept.length === 0 || this.mark !== '') return;
    if (!atReady && !this.isReadyHeld && !this.client.isAtRest) return;
    if (!atReady && this.client.link?.mayInterrupt() === false) return;
    let sent = 0;
    for (const kept of this.kept) {
      const channel = kept.notification?.channel;
      // Its turn has come when its LISTEN has: what is behind it waits, for the order.
      const mayWait = this.isCongested && !atReady && !this.isReadyHeld;
      if (mayWait || (channel !== undefined && this.claimed.has(channel))) break;
      sent += 1;
      this.keptBytes -= kept.message.length;
      if (channel === undefined || this.own.has(channel)) this.send(kept);
      if (this.hasLeft) return;
    }
    if (sent > 0) this.kept = this.kept.slice(sent);
  }

  private send({ notification, processId, message }: Kept): void {
    if (notification === null) this.isCongested = this.client.tell(message);
    else if (this.client.readsUtf8 || isAscii(message)) {
      this.isCongested = this.client.tell(withProcessId(notification, processId));
    } else this.client.fail(NOT_CONVERTIBLE);
  }
}

/** The numbers in a message are no letters. */
function isAscii(message: Uint8Array): boolean {
  return message.every((byte, at) => at < 9 || byte < 0x80);
}
