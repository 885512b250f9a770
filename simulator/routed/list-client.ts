/**
 * A client of a world of nodes. What it gets is compared with what a direct session would answer, at the moment at which the
 * gateway sends it; what the client knows by it, it knows when that has arrived.
 */
import * as Backend from '../../src/wire/backend.js';
import * as Frontend from '../../src/wire/frontend.js';
import * as Packets from '../packets.js';
import { Framer, type Packet, readFields } from '../packets.js';
import { PostgresSession } from '../postgres-session.js';
import type { Random } from '../random.js';
import type { Append, Lists } from '../session-lists.js';
import type { Peer, SimConnection } from '../sim-connection.js';
import { describePacket } from '../trace.js';
import type { Outcome } from './list-ledger.js';
import { ListWork, type Turn } from './list-work.js';
import { DATABASE, USERS } from './plan.js';
import type { RoutedGround } from './routed-ground.js';
import { judgeError, type Trouble } from './trouble.js';

type Phase = 'new' | 'login' | 'ready' | 'gone';

/** In place of what a list holds: the reference can't know. */
const UNKNOWN_ITEMS = '?';
const NO_LOCKS = { mayHave: () => true, freed: () => {} };

export class ListClient implements Peer, Lists {
  readonly label: string;
  phase: Phase = 'new';
  readonly refusal = null;
  private readonly ground: RoutedGround;
  private readonly random: Random;
  private readonly work: ListWork;
  private readonly framer: Framer;
  private readonly startup: ReadonlyMap<string, string>;
  private readonly onSettled: () => void;
  private reference: PostgresSession;
  private connection!: SimConnection;
  /** What the reference has answered, and the gateway has not. */
  private expected: Packet[] = [];
  private turn: Turn = { packets: [], units: 0, tokens: [], isOpaque: false };
  /** The gateway may not know yet what its session holds. */
  private isOpaque = false;
  private isNowOpaque = false;
  /** A part of the answer to the unit has come. */
  private isMidUnit = false;
  private askedAt = 0;
  private wasInBlock = false;
  /** Of the turn. */
  private unitsLeft = 0;
  private trouble: Trouble | null = null;
  private status: number = Backend.Idle;
  private fatal: Map<string, string> | null = null;
  /** Committed by the reference, and not acknowledged yet. */
  private committing: string[] = [];
  /** Of which it doesn't know what has become. */
  private readonly open = new Set<string>();
  /** What it has written, and what it has read. */
  private readonly written = new Set<string>();
  private readonly met = new Set<string>();
  private sentBytes = 0;
  private arrivedBytes = 0;
  private readonly arrivals: { readonly at: number; readonly run: () => void }[] = [];

  /** @param onSettled called when everything is answered, and when it is logged in */
  constructor(ground: RoutedGround, id: number, onSettled: () => void) {
    this.ground = ground;
    this.label = `client ${id}`;
    this.random = ground.random.fork();
    this.onSettled = onSettled;
    this.startup = new Map([
      ['user', this.random.pick(USERS)],
      ['database', DATABASE],
    ]);
    const now = (): number => ground.schedule.now;
    this.work = new ListWork(id, ground.plan, this.random, ground.ledger, now);
    this.reference = this.newReference();
    this.framer = new Framer(
      false,
      (message) => this.take(message),
      (why) => this.violation(`is sent a broken message: ${why}`),
    );
  }

  get isBetween(): boolean {
    return !this.work.inBlock;
  }

  describe(): string {
    return `${this.label} (${this.phase}) waits since ${this.askedAt.toFixed(1)} ms, for ${this.unitsLeft} units`;
  }

  private newReference(): PostgresSession {
    const reference = new PostgresSession(this.startup, NO_LOCKS, () => {}, this);
    reference.parameters.report();
    return reference;
  }

  // --- What it does -------------------------------------------------------------------------------------------

  connect(): void {
    this.phase = 'login';
    this.askedAt = this.ground.schedule.now;
    this.ground.io.accept((connection) => {
      this.connection = connection;
      return this;
    });
    this.connection.toGateway.write(Packets.startup(Frontend.ProtocolVersion3, this.startup));
  }

  ask(): void {
    this.send(this.trouble === null ? this.work.turn() : this.recover());
  }

  private recover(): Turn {
    const isInBlock = this.status !== Backend.Idle;
    this.trouble = null;
    this.expected = [];
    this.reference = this.newReference();
    this.reference.inBlock = isInBlock;
    this.reference.failed = this.status === Backend.InFailedTransaction;
    return this.work.recovery(isInBlock);
  }

  private send(turn: Turn): void {
    const { ledger, schedule } = this.ground;
    this.unitsLeft = turn.units;
    this.askedAt = schedule.now;
    this.wasInBlock = this.status !== Backend.Idle;
    // What the gateway asks behind it may be answered only during the next turn.
    const wasOpaque = this.isNowOpaque;
    this.isNowOpaque = turn.isOpaque || (wasOpaque && this.wasInBlock);
    this.isOpaque = this.isNowOpaque || wasOpaque;
    this.turn = turn;
    for (const token of turn.tokens) {
      const what = ledger.find(token)?.what ?? 'read';
      if (what !== 'read') this.open.add(token);
    }
    for (const message of turn.packets) {
      ledger.trace(() => `${this.label} -> ${describePacket(message, false)}`);
      this.reference.push(message);
    }
    this.connection.toGateway.write(Buffer.concat(turn.packets.map(({ bytes }) => bytes)));
  }

  leave(how: 'terminate' | 'close' | 'reset'): void {
    if (this.phase !== 'ready' && this.phase !== 'login') return;
    this.ground.ledger.trace(() => `${this.label} leaves (${how})`);
    this.goes();
    if (how === 'reset') return this.ground.io.cutByPeer(this.connection, 'connection reset by peer');
    if (how === 'terminate') this.connection.toGateway.write(Packets.terminate().bytes);
    this.ground.io.peerCloses(this.connection);
  }

  private goes(): void {
    this.phase = 'gone';
    for (const token of this.open) this.tell(token, 'unknown');
    this.open.clear();
  }

  private tell(token: string, outcome: Outcome): void {
    this.ground.ledger.tell(token, outcome, this.ground.schedule.now);
  }

  // --- The reference ------------------------------------------------------------------------------------------

  read(): string {
    return UNKNOWN_ITEMS;
  }

  append(): void {}

  commit(appends: readonly Append[]): void {
    this.committing.push(...appends.map(({ token }) => token));
  }

  // --- What it gets -------------------------------------------------------------------------------------------

  announced(bytes: Buffer): void {
    if (this.phase === 'gone') return;
    this.sentBytes += bytes.length;
    this.framer.receive(bytes);
  }

  received(piece: Buffer): void {
    this.arrivedBytes += piece.length;
    while (this.arrivals.length > 0 && this.arrivals[0]!.at <= this.arrivedBytes)
      this.arrivals.shift()!.run();
  }

  ended(): void {
    this.lost();
    this.ground.io.peerCloses(this.connection);
  }

  cut(): void {
    this.lost();
  }

  /** When what the gateway has sent by now has arrived. */
  private whenArrived(run: () => void): void {
    this.arrivals.push({ at: this.sentBytes, run });
  }

  private take(message: Packet): void {
    this.ground.ledger.trace(() => `${this.label} <- ${describePacket(message, true)}`);
    if (this.fatal !== null) return this.violation('is sent something behind a FATAL error');
    const fields = message.type === Backend.ErrorResponse ? readFields(message) : null;
    if (fields?.get('S') === 'FATAL') this.fatal = fields;
    else if (this.phase === 'login') this.takeLogin(message);
    else if (!ASIDES.has(message.type) || this.isExpected(message)) this.takeAnswer(message, fields);
  }

  private takeLogin({ type, bytes }: Packet): void {
    if (type === Backend.ErrorResponse) this.violation(`is refused: ${bytes.toString('latin1', 5)}`);
    if (type !== Backend.ReadyForQuery) return;
    this.whenArrived(() => {
      if (this.phase !== 'login') return;
      this.phase = 'ready';
      this.onSettled();
    });
  }

  /** Notices and the like are part of an answer, or come by themselves. */
  private isExpected(message: Packet): boolean {
    this.advance();
    return this.expected[0]?.bytes.equals(message.bytes) === true;
  }

  private advance(): void {
    while (this.expected.length === 0 && this.reference.next !== 'nothing') {
      this.reference.step();
      for (const message of this.reference.out.splice(0)) {
        if (message.type !== Backend.ParameterStatus) this.expected.push(message);
      }
    }
  }

  private takeAnswer(message: Packet, fields: Map<string, string> | null): void {
    if (this.trouble === null) {
      this.advance();
      const expected = this.expected.shift();
      const isRight = expected !== undefined && this.matches(expected, message);
      if (!isRight && fields !== null) this.meets(fields);
      else if (!isRight) {
        const wanted = expected === undefined ? 'nothing' : describePacket(expected, true);
        return this.violation(`is sent ${describePacket(message, true)}, instead of ${wanted}`);
      }
    }
    this.isMidUnit = message.type !== Backend.ReadyForQuery;
    if (message.type === Backend.ReadyForQuery) this.unitAnswered(message.bytes[5]!);
  }

  private matches(expected: Packet, actual: Packet): boolean {
    if (expected.bytes.equals(actual.bytes)) return true;
    if (expected.type !== actual.type || actual.type !== Backend.DataRow) return false;
    const values = dataValues(actual);
    const [token = '', items = ''] = values;
    if (!expected.bytes.equals(Packets.dataRow([token, UNKNOWN_ITEMS]).bytes)) return false;
    const { ledger, plan } = this.ground;
    const asked = ledger.find(token);
    if (asked === undefined) return false;
    const seen = items.split(',').filter((item) => item !== '');
    ledger.checkRead(asked, seen, this.written, this.met, plan.settings.boundedStalenessMs);
    if (asked.consistency === 'session') for (const item of seen) this.met.add(item);
    return true;
  }

  /** It is told of something that no direct session would have been told of. */
  private meets(fields: Map<string, string>): void {
    const { ledger, schedule, plan } = this.ground;
    const wasSent = this.wasInBlock || this.turn.tokens.some((token) => ledger.wasHandedOver(token));
    const trouble = judgeError(fields, {
      waitedMs: schedule.now - this.askedAt,
      failoverTimeoutMs: plan.settings.failoverTimeoutMs,
      wasSent,
      beginsWithParse: this.turn.packets[0]?.type === Frontend.Parse,
      isMidUnit: this.isMidUnit,
      isOpaque: this.isOpaque,
    });
    if (trouble.violation !== null && ledger.blindSends === 0) return this.violation(trouble.violation);
    if (trouble.violation !== null) ledger.blindSends -= 1;
    if (fields.get('C') === '57P03') ledger.counts.noPrimary += 1;
    this.trouble = trouble;
  }

  private unitAnswered(status: number): void {
    this.status = status;
    this.unitsLeft -= 1;
    this.ground.ledger.counts.answered += 1;
    if (this.trouble === null) this.acknowledge();
    if (this.unitsLeft > 0) return;
    if (this.unitsLeft < 0) return this.violation('is sent more answers than it has asked for');
    const { trouble, turn } = this;
    this.committing = [];
    this.whenArrived(() => {
      if (this.phase !== 'ready') return;
      if (trouble !== null) this.resolve(turn.units === 1 ? trouble.outcome : 'unknown');
      else if (status === Backend.Idle) this.resolve('failed');
      this.onSettled();
    });
  }

  private acknowledge(): void {
    const tokens = this.committing;
    this.committing = [];
    for (const token of tokens) {
      this.ground.ledger.acknowledges(token);
      this.written.add(token);
    }
    this.whenArrived(() => {
      for (const token of tokens) {
        this.tell(token, 'acknowledged');
        this.open.delete(token);
      }
    });
  }

  /** What is open has come to nothing, or nobody knows. */
  private resolve(outcome: Outcome): void {
    for (const token of this.open) this.tell(token, outcome);
    this.open.clear();
  }

  // --- The end ------------------------------------------------------------------------------------------------

  private lost(): void {
    if (this.phase === 'gone') return;
    const { fatal, phase } = this;
    const word = fatal === null ? 'without a word' : `${fatal.get('C')} ${fatal.get('M')}`;
    this.ground.ledger.trace(() => `${this.label} is closed: ${word}`);
    this.goes();
    if (this.ground.ledger.shuttingDown) return;
    const waitedMs = this.ground.schedule.now - this.askedAt;
    const { failoverTimeoutMs } = this.ground.plan.settings;
    // What it asks for is tried on a server connection, which may be lost.
    if (phase === 'login' && LOSSES.has(fatal?.get('C') ?? '')) return;
    // There must be a primary for a login.
    if (phase === 'login' && fatal?.get('C') === '57P03' && waitedMs >= failoverTimeoutMs) return;
    // In the middle of a message nothing can be said.
    if (this.framer.rest > 0) return;
    const isOfLoss = LOSSES.has(fatal?.get('C') ?? '');
    if (isOfLoss && this.isOpaque) {
      this.ground.ledger.counts.lostToClients += 1;
      return;
    }
    this.violation(`is closed: ${word}`);
  }

  private violation(what: string): void {
    this.ground.ledger.fail(`${this.label} ${what}`);
  }
}

/** Of its server connection, with what nobody knows in it. */
const LOSSES: ReadonlySet<string> = new Set(['08006', '08007', '57P01']);
const ASIDES: ReadonlySet<number> = new Set([Backend.NoticeResponse, Backend.ParameterStatus]);

/** The values of a DataRow, as text. */
function dataValues({ bytes }: Packet): string[] {
  const values: string[] = [];
  let at = 7;
  for (let left = bytes.readInt16BE(5); left > 0; left--) {
    const length = bytes.readInt32BE(at);
    values.push(bytes.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return values;
}
