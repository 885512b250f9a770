/**
 * NOTIFY and LISTEN as PostgreSQL has them, and what must hold of them for each client: it hears what it listens to, all of
 * it, once, in the order of the commits, between its transactions, and nothing else.
 */
import * as Backend from '../src/wire/backend.js';
import type { Ledger } from './ledger.js';
import type { Packet } from './packets.js';
import * as Packets from './packets.js';

/** The channels that clients listen to. */
export const CHANNELS = ['news', 'mail'] as const;

/** What a transaction has sent; `token` is its payload. */
export interface Sent {
  readonly channel: string;
  readonly token: string;
}

/** A session of the model server, as its notifications concern it. */
export interface Hearer {
  readonly processId: number;
  readonly database: string;
  readonly objects: { readonly channels: ReadonlyMap<string, string> } | null;
  hear(channel: string, message: Packet): void;
}

interface Committed extends Sent {
  readonly database: string;
}

/** Everything that has been sent, by all sessions of the server, in the order of the commits. */
export class NotificationLog {
  readonly entries: Committed[] = [];
  /** How often a connection over which the gateway listens for others has been lost, by database. */
  private readonly losses = new Map<string, number>();

  commit(from: Hearer, sent: readonly Sent[], sessions: Iterable<Hearer>): void {
    const { database, processId } = from;
    const all = [...sessions].filter((session) => session.database === database);
    for (const { channel, token } of sent) {
      this.entries.push({ channel, token, database });
      for (const session of all) {
        if (session.objects?.channels.has(channel) !== true) continue;
        session.hear(channel, Packets.notification(processId, channel, token));
      }
    }
  }

  lost(database: string): void {
    this.losses.set(database, this.lossesOf(database) + 1);
  }

  lossesOf(database: string): number {
    return this.losses.get(database) ?? 0;
  }
}

/** What one client has heard. */
export class Hearing {
  private readonly ledger: Ledger;
  private readonly log: NotificationLog;
  private readonly database: string;
  private readonly fail: (what: string) => void;
  /** By channel: from which entry of the log on the client hears everything. */
  private readonly since = new Map<string, number>();
  private readonly heard = new Set<string>();
  private readonly latest = new Map<string, number>();
  private losses: number;
  /** How many entries of the log there were when it was told last that it may have missed some. */
  private toldAt = 0;
  /** What it has sent to itself and need not have heard yet. */
  private readonly toItself: Sent[] = [];

  constructor(ledger: Ledger, log: NotificationLog, database: string, fail: (what: string) => void) {
    this.ledger = ledger;
    this.log = log;
    this.database = database;
    this.fail = fail;
    this.losses = log.lossesOf(database);
  }

  /** A transaction of the client's has been answered; it listens to these channels now. */
  listens(channels: ReadonlyMap<string, string>): void {
    for (const name of [...this.since.keys()]) if (!channels.has(name)) this.since.delete(name);
    for (const name of channels.keys()) {
      if (!this.since.has(name)) this.since.set(name, this.log.entries.length);
    }
  }

  /** A notification has come; the client listens to these channels, as far as it knows. */
  hears(message: Packet, channels: ReadonlyMap<string, string>): void {
    const [channel, at] = Packets.readCstring(message.bytes, 9);
    const [token] = Packets.readCstring(message.bytes, at);
    const index = this.indexOf(token);
    const entry = this.log.entries[index];
    if (entry === undefined || entry.channel !== channel || entry.database !== this.database) {
      return this.fail(`heard ${token} on ${channel}, which nobody has sent there`);
    }
    if (!channels.has(channel)) return this.fail(`heard ${token} on ${channel}, to which it does not listen`);
    if (this.heard.has(token)) return this.fail(`heard ${token} twice`);
    if (index < (this.latest.get(channel) ?? -1)) return this.fail(`heard ${token} behind a later one`);
    this.ledger.note('a client hears what it listens to');
    this.heard.add(token);
    this.latest.set(channel, index);
    this.expectAll(channel, index);
  }

  /**
   * A transaction of its own is answered, and has sent this. Behind the last one of a pipeline all must have come that it has
   * sent to channels of its own.
   */
  sent(sent: readonly Sent[], isLast: boolean): void {
    this.toItself.push(...sent.filter(({ channel }) => this.since.has(channel)));
    if (!isLast) return;
    for (const { channel, token } of this.toItself.splice(0)) {
      if (!this.since.has(channel) || this.mayHaveMissed || this.indexOf(token) < this.toldAt) continue;
      this.ledger.note('a client hears what it has sent itself');
      if (!this.heard.has(token)) this.fail(`has not heard ${token}, which it has sent itself`);
    }
  }

  /** Everything before an entry must have come. */
  private expectAll(channel: string, before: number): void {
    const from = this.since.get(channel);
    if (from === undefined || this.mayHaveMissed) return;
    for (let at = from; at < before; at++) {
      const { token, database, channel: other } = this.log.entries[at]!;
      if (database !== this.database || other !== channel || this.heard.has(token)) continue;
      return this.fail(`has not heard ${token} on ${channel}`);
    }
    this.since.set(channel, before);
  }

  private indexOf(token: string): number {
    return this.log.entries.findIndex((entry) => entry.token === token);
  }

  private get mayHaveMissed(): boolean {
    return this.log.lossesOf(this.database) !== this.losses;
  }

  /** It is told that it may have missed something: from now on it must hear everything again. */
  told(): void {
    this.ledger.note('a client is told that it may have missed notifications');
    this.losses = this.log.lossesOf(this.database);
    this.toldAt = this.log.entries.length;
    for (const channel of this.since.keys()) this.since.set(channel, this.log.entries.length);
  }
}

/** Whether the message may stand between two transactions alone. */
export function isNotification(message: Packet): boolean {
  return message.type === Backend.NotificationResponse && !message.bytes.includes('async ');
}
