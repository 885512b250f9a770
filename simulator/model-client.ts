/**
 * A model client: logs in, works, and compares every message that it gets with what its own reference session (a
 * direct connection, so to speak) would have answered.
 */
import { APPLICATION_PROTOCOL } from '../src/core/session/client-encryption.js';
import * as Backend from '../src/wire/backend.js';
import { GSSENCRequestCode } from '../src/wire/frontend.js';
import { type ClientIdentity, loginPackets } from './client-identity.js';
import { ClientWork, type Standing } from './client-work.js';
import type { Ground } from './ground.js';
import { isEndedByLimit, isOurNotice } from './limits.js';
import { Hearing, isNotification } from './notifications.js';
import * as Packets from './packets.js';
import { Framer, type Packet, readFields } from './packets.js';
import { PasswordAnswer } from './passwords.js';
import { serverVersion } from './plan.js';
import { PostgresSession } from './postgres-session.js';
import type { Random } from './random.js';
import { SERVER_DEFAULTS } from './session-parameters.js';
import type { Peer, SimConnection } from './sim-connection.js';
import { CLIENT_HELLO } from './sim-io.js';
import { tokenOwners } from './sql.js';
import { asRefused, isStrict } from './strict-mode.js';
import { describePacket } from './trace.js';

/** The gateway answers for itself, or has renamed statements: the code counts, not the words. */
const WORDS_MAY_DIFFER: ReadonlySet<string> = new Set(['26000', '42P05', '08P01']);
/** Of these nothing says that a transaction has begun. */
const BETWEEN: ReadonlySet<number> = new Set([
  Backend.ReadyForQuery,
  Backend.ParseComplete,
  Backend.CloseComplete,
]);
const MISSED = 'notifications may have been lost';
const CANCELLED = 'canceling statement due to user request';

type Phase = 'new' | 'login' | 'ready' | 'gone';

export class ModelClient implements Peer {
  readonly label: string;
  readonly id: number;
  readonly identity: ClientIdentity;
  phase: Phase = 'new';
  cancelKey: Buffer | null = null;
  /** It has broken the protocol, on purpose: whatever becomes of it is right. */
  misbehaved = false;
  private halfClosed = false;
  private readonly strict: boolean;
  private readonly ground: Ground;
  private readonly random: Random;
  private readonly framer: Framer;
  private readonly reference: PostgresSession;
  private readonly work: ClientWork;
  private readonly answers: PasswordAnswer;
  private readonly view = new Map<string, string>();
  private readonly onSettled: () => void;
  /** What the reference has answered and the gateway has not yet. */
  private expected: Packet[] = [];
  private connection!: SimConnection;
  /** Login packets that wait for the answer to a request for encryption: a single byte. */
  /** It has got more than answers of one byte. */
  private hasMessages = false;
  private loginRest: Buffer[] = [];
  /** Since when something is unanswered, in ms. */
  private askedAt = 0;
  private settledNow = true;
  /** A part of an answer has come. */
  private isMidAnswer = false;
  private lastStatus: number = Backend.Idle;
  private readonly hearing: Hearing;
  private fatal: Map<string, string> | null = null;
  private asksForGssapi = false;
  /** It was told which protocol version and options the gateway speaks. */
  private hasNegotiated = false;

  /** @param onSettled called when everything is answered (also: when logged in), to go on. */
  constructor(ground: Ground, id: number, identity: ClientIdentity, onSettled: () => void) {
    this.ground = ground;
    this.strict = isStrict(ground.plan);
    this.id = id;
    this.identity = identity;
    this.label = `client ${id}`;
    this.random = ground.random.fork();
    this.onSettled = onSettled;
    this.reference = new PostgresSession(identity.startup, ground.ledger.believedLocks, (situation) =>
      ground.ledger.note(situation),
    );
    this.reference.parameters.report();
    const name = identity.startup.get('database') ?? '';
    const database = ground.plan.settings.databases.get(name)?.serverDatabase ?? name;
    this.hearing = new Hearing(ground.ledger, ground.ledger.notifications, database, (what) =>
      this.violation(what),
    );
    this.work = new ClientWork(id, ground.plan, this.random, identity.startup);
    this.answers = new PasswordAnswer(identity.user, identity.password, this.random);
    this.framer = new Framer(
      false,
      (message) => this.take(message),
      (why) => this.violation(`received a broken message: ${why}`),
    );
  }

  get standing(): Standing {
    if (this.reference.failed) return 'failed';
    return this.reference.inBlock ? 'in transaction' : 'idle';
  }

  /** The gateway serves it. */
  get served(): boolean {
    return this.phase === 'ready' && this.connection.state === 'open';
  }

  /** Everything that it asked is answered. */
  get settled(): boolean {
    return this.settledNow;
  }

  /** It has begun something that it must end: a COPY, or messages without a Sync. */
  get midway(): boolean {
    return this.reference.copyIn !== null || this.work.unsynced;
  }

  describe(): string {
    const next = this.expected[0];
    const waitsFor = next === undefined ? this.reference.next : describePacket(next, true);
    return `${this.label} (${this.phase}, ${this.standing}, waits since ${this.askedAt} ms for: ${waitsFor})`;
  }

  // --- What it does ---------------------------------------------------------------------------------------------

  connect(): void {
    this.phase = 'login';
    this.settledNow = false;
    this.askedAt = this.ground.schedule.now;
    this.ground.io.accept((connection) => {
      this.connection = connection;
      return this;
    });
    this.loginRest = loginPackets(this.identity, this.ground.plan, this.random);
    const first = this.loginRest.shift()!;
    this.asksForGssapi = first.length === 8 && first.readInt32BE(4) === GSSENCRequestCode;
    if (first[0] === CLIENT_HELLO) this.ground.io.peerStartsTls(this.connection, APPLICATION_PROTOCOL);
    this.connection.toGateway.write(first);
  }

  /** Sends the next batch of its work. */
  ask(): void {
    if (this.reference.copyIn !== null) this.send(this.work.copyRows());
    else {
      // A COPY that failed at once: its data are sent all the same by some, and ignored.
      if (this.work.copyEnd !== null && this.random.chance(0.5)) this.send(this.work.copyRows());
      const behind = this.work.copyEnd ?? [];
      this.work.copyEnd = null;
      this.send([...behind, ...this.work.batch(this.standing)]);
    }
  }

  send(packets: readonly Packet[]): void {
    if (this.phase !== 'ready') return;
    if (this.settledNow) this.askedAt = this.ground.schedule.now;
    this.settledNow = false;
    for (const message of packets) {
      this.ground.ledger.trace(() => `${this.label} -> ${describePacket(message, false)}`);
      this.reference.push(this.strict ? asRefused(message) : message);
    }
    this.connection.toGateway.write(Buffer.concat(packets.map((message) => message.bytes)));
    this.settle();
  }

  /** The last request, and nothing behind it. */
  halfClose(): void {
    this.halfClosed = true;
    this.send(this.work.farewell());
    this.connection.toGateway.end();
  }

  /** Leaves, in one of the ways in which clients do. */
  leave(how: 'terminate' | 'close' | 'reset' | 'mid-message'): void {
    if (this.phase === 'gone' || this.phase === 'new') return;
    const { io, ledger } = this.ground;
    ledger.trace(() => `${this.label} leaves (${how})`);
    if (this.phase === 'ready' && !this.settledNow) ledger.note('a client leaves while its query runs');
    else if (this.standing !== 'idle') ledger.note('a client leaves within a transaction');
    ledger.departed(this.id);
    this.phase = 'gone';
    if (how === 'reset') return io.cutByPeer(this.connection, 'connection reset by peer');
    const { toGateway } = this.connection;
    if (how === 'terminate') toGateway.write(Packets.terminate().bytes);
    else if (how === 'mid-message') {
      const { bytes } = this.work.farewell()[0]!;
      toGateway.write(bytes.subarray(0, this.random.int(1, bytes.length - 1)));
    }
    io.peerCloses(this.connection);
  }

  /** Sends something that no client may send. */
  misbehave(bytes: Buffer): void {
    this.misbehaved = true;
    this.ground.ledger.departed(this.id);
    this.ground.ledger.trace(() => `${this.label} misbehaves: ${bytes.toString('hex')}`);
    this.connection.toGateway.write(bytes);
  }

  /** Stops reading for a while. */
  stall(forMs: number): void {
    this.connection.toPeer.pause(0);
    const { connection } = this;
    this.ground.schedule.after(forMs, () => connection.toPeer.resume());
  }

  // --- What it gets ---------------------------------------------------------------------------------------------

  received(piece: Buffer): void {
    if (this.phase === 'gone') return;
    let rest = piece;
    // Pieces of an error begin with any byte.
    const isAsking = this.loginRest.length > 0 && !this.hasMessages;
    if (isAsking && rest[0] === REFUSED) {
      if (this.asksForGssapi) this.ground.ledger.note('GSSENCRequest is refused');
      this.connection.toGateway.write(this.loginRest.shift()!);
      rest = rest.subarray(1);
    }
    if (isAsking && this.loginRest.length > 0 && rest[0] === ACCEPTED) {
      if (rest.length > 1) return this.violation('received bytes behind the answer to SSLRequest');
      return this.ground.io.peerStartsTls(this.connection, null);
    }
    if (rest.length === 0) return;
    this.hasMessages = true;
    this.framer.receive(rest);
  }

  secured(): void {
    if (this.phase === 'login') this.connection.toGateway.write(this.loginRest.shift()!);
  }

  ended(): void {
    if (this.phase === 'gone') return;
    this.lost(this.fatal);
    this.ground.io.peerCloses(this.connection);
  }

  cut(): void {
    if (this.phase !== 'gone') this.lost(this.fatal);
  }

  private take(message: Packet): void {
    if (this.phase === 'gone') return;
    this.ground.ledger.trace(() => `${this.label} <- ${describePacket(message, true)}`);
    this.checkTokens(message);
    if (this.fatal !== null) return this.violation('a message came behind a FATAL error');
    if (message.type === Backend.ErrorResponse) {
      const fields = readFields(message);
      if (fields.get('S') === 'FATAL') {
        this.fatal = fields;
        return;
      }
    }
    if (this.misbehaved) return;
    if (this.phase === 'login') this.takeLogin(message);
    else this.takeAnswer(message);
  }

  private checkTokens(message: Packet): void {
    if (isNotification(message)) return;
    for (const owner of tokenOwners(message.bytes.toString('latin1'))) {
      if (owner !== this.id) {
        this.violation(`received bytes of client ${owner}: ${describePacket(message, true)}`);
      }
    }
  }

  private takeLogin(message: Packet): void {
    const { bytes } = message;
    switch (message.type) {
      case Backend.Authentication: {
        const answer = this.answers.answer(message);
        if (typeof answer === 'string') return this.violation(answer);
        if (answer !== null) this.connection.toGateway.write(answer.bytes);
        return;
      }
      case Backend.ParameterStatus:
        return this.takeParameter(message);
      case Backend.BackendKeyData:
        this.cancelKey = bytes.subarray(5);
        return;
      case Backend.NegotiateProtocolVersion:
        this.hasNegotiated = true;
        return;
      case Backend.NoticeResponse:
        return;
      case Backend.ReadyForQuery:
        if (this.cancelKey === null) this.violation('login ended without BackendKeyData');
        this.checkNegotiation();
        if (!this.identity.welcome) this.violation('was let in, but should not have been');
        this.phase = 'ready';
        this.checkView();
        this.settle();
        return;
    }
    this.violation(`unexpected message during login: ${describePacket(message, true)}`);
  }

  /** Asked for a newer version than there is, or for an option: the gateway must say what it speaks, and only then. */
  private checkNegotiation(): void {
    const { minorVersion, hasProtocolOption } = this.identity;
    const isDue = minorVersion > NEWEST_MINOR_VERSION || hasProtocolOption;
    if (isDue && !this.hasNegotiated) this.violation('asked for what is not spoken, and was not told so');
    if (minorVersion === 0 && this.hasNegotiated) this.violation('was sent NegotiateProtocolVersion for 3.0');
    if (isDue) this.ground.ledger.note('the protocol version is negotiated');
  }

  private takeParameter(message: Packet): void {
    const [name, valueAt] = Packets.readCstring(message.bytes, 5);
    this.view.set(name, Packets.readCstring(message.bytes, valueAt)[0]);
  }

  private takeAnswer(message: Packet): void {
    if (message.type === Backend.ParameterStatus) return this.takeParameter(message);
    if (message.type === Backend.NotificationResponse && message.bytes.includes('async ')) return;
    if (isNotification(message)) return this.hear(message);
    if (message.type === Backend.NoticeResponse && isUnasked(readFields(message).get('M'))) {
      if (readFields(message).get('M') === MISSED) this.hearing.told();
      return;
    }
    if (this.isNameless(message)) return;
    if (isLoss(message)) return this.outlives();
    if (isUnserved(message)) return this.takeUnserved(message);
    if (this.isCancelled(message)) return this.takeCancelled(message);
    this.advance();
    const expected = this.expected.shift();
    if (expected === undefined) {
      return this.violation(`received an answer to nothing: ${describePacket(message, true)}`);
    }
    if (!matches(expected, message)) {
      return this.violation(
        `expected ${describePacket(expected, true)}, received ${describePacket(message, true)}`,
      );
    }
    this.isMidAnswer = !BETWEEN.has(message.type);
    if (message.type === Backend.ReadyForQuery) {
      this.lastStatus = message.bytes[5]!;
      if (message.bytes[5] === Backend.Idle) this.transactionAnswered();
      this.ground.ledger.answered += 1;
      this.checkView();
    }
    this.settle();
  }

  /** Between two transactions, also in front of the ReadyForQuery that ends one. */
  private hear(message: Packet): void {
    const next = this.expected[0];
    const isAtReady = next?.type === Backend.ReadyForQuery && next.bytes[5] === Backend.Idle;
    const wasIdle = !this.isMidAnswer && this.lastStatus === Backend.Idle;
    if (!wasIdle) this.advance();
    const now = this.expected[0];
    const isBefore = isAtReady || (now?.type === Backend.ReadyForQuery && now.bytes[5] === Backend.Idle);
    if (!wasIdle && !isBefore) {
      this.violation(`heard within a transaction: ${describePacket(message, true)}`);
    }
    this.hearing.hears(message, this.reference.objects.channels);
  }

  private transactionAnswered(): void {
    const { objects } = this.reference;
    this.hearing.listens(objects.channels);
    this.hearing.sent(objects.takeSent(), this.reference.pending === 0);
  }

  /** Lets the reference go on until it has something to say. */
  private advance(): void {
    while (this.expected.length === 0 && this.reference.next !== 'nothing') this.stepReference();
  }

  private stepReference(): void {
    this.reference.step();
    for (const message of this.reference.out.splice(0)) {
      if (message.type !== Backend.ParameterStatus) this.expected.push(message);
    }
  }

  /** An error without a SQLSTATE comes from a server that is about to be lost. */
  private isNameless(message: Packet): boolean {
    const { ledger } = this.ground;
    const isNameless = message.type === Backend.ErrorResponse && !readFields(message).has('C');
    if (!isNameless || ledger.lossCredits === 0) return false;
    ledger.note('an error without SQLSTATE');
    // What of its requests counts as answered by that nobody can tell.
    this.leave('terminate');
    return true;
  }

  /** What became of its request can't be known here, and so it goes; that it might have stayed is tested elsewhere. */
  private outlives(): void {
    const { ledger } = this.ground;
    if (ledger.lossCredits === 0)
      return this.violation('was told of the loss of a server, and none was lost');
    ledger.lossCredits -= 1;
    ledger.note('a client outlives its server connection');
    this.leave(this.random.chance(0.5) ? 'terminate' : 'close');
  }

  /** Its session was refused by a server connection: nothing has run of what is answered so. */
  private takeUnserved(message: Packet): void {
    this.ground.ledger.note('a client is told that its session was refused');
    while (this.expected.length === 0 && this.reference.next === 'instant') this.stepReference();
    const isOver = this.expected.at(-1)?.type === Backend.ReadyForQuery;
    if (this.expected.length === 0 && this.reference.next === 'nothing') {
      return this.violation('was refused a session, but has asked for nothing');
    }
    const fields = readFields(message);
    if (!isOver) this.reference.refuseBatch(fields.get('C')!, fields.get('M')!);
    this.expected = isOver ? this.expected.slice(-1) : [];
    this.expected.push(...this.reference.out.splice(0).filter(({ type }) => !REFUSED_BATCH_SHOWS.has(type)));
    this.settle();
  }

  private isCancelled(message: Packet): boolean {
    return message.type === Backend.ErrorResponse && readFields(message).get('M') === CANCELLED;
  }

  private takeCancelled(message: Packet): void {
    while (this.expected.length === 0 && this.reference.next === 'instant') this.stepReference();
    const midway = this.expected.length > 0;
    if (!midway && this.reference.next !== 'statement' && this.reference.copyIn === null) {
      return this.violation('received the error of a cancelled query, but no query was running');
    }
    this.expected = [];
    if (midway) this.reference.cancelCurrent();
    else this.reference.cancelNext();
    const error = this.reference.out.shift()!;
    if (!matches(error, message)) this.violation(`unexpected form of a cancelled query's error`);
    this.expected.push(
      ...this.reference.out.splice(0).filter(({ type }) => type !== Backend.ParameterStatus),
    );
    this.settle();
  }

  /** What ParameterStatus has told it must be what its session has. */
  private checkView(): void {
    for (const name of SERVER_DEFAULTS.keys()) {
      const isVersion = name === 'server_version';
      const actual = isVersion
        ? serverVersion(this.ground.plan.server)
        : this.reference.parameters.value(name);
      if (this.view.get(name) === actual) continue;
      this.violation(`was told ${name} = ${this.view.get(name)}, but a direct session would have ${actual}`);
    }
  }

  private settle(): void {
    if (this.phase !== 'ready') return;
    while (this.expected.length === 0 && this.reference.next === 'instant') this.stepReference();
    if (this.settledNow || this.expected.length > 0 || this.reference.next !== 'nothing') return;
    this.settledNow = true;
    if (this.work.unsynced) this.ground.ledger.note('answers without a Sync');
    this.onSettled();
  }

  // --- The end --------------------------------------------------------------------------------------------------

  private lost(fatal: Map<string, string> | null): void {
    const word = fatal === null ? 'without a word' : `${fatal.get('C')} ${fatal.get('M')}`;
    this.ground.ledger.trace(() => `${this.label} is closed: ${word}`);
    const wasReady = this.phase === 'ready';
    this.phase = 'gone';
    this.ground.ledger.departed(this.id);
    if (this.misbehaved || this.ground.ledger.shuttingDown) return;
    if (this.halfClosed && this.settledNow && fatal === null) return;
    if (this.isEndedByOperator(fatal)) return;
    // The second time in a row.
    if (fatal?.get('H')?.includes(UNSERVED_HINT) === true) return;
    if (isEndedByLimit(this.ground.plan.settings, fatal?.get('M') ?? null)) return;
    if (!wasReady && (this.mayBeRefused(fatal) || this.waitsInVain(fatal))) return;
    if (this.hasWaitedTooLong(fatal)) {
      if (this.reference.pending > 1) this.ground.ledger.note('a pipeline gets no server connection');
      return;
    }
    const { ledger } = this.ground;
    if (ledger.serverTrouble && fatal !== null && (!wasReady || !this.settledNow)) {
      if (!wasReady) ledger.note('a login while servers cannot be reached');
      return;
    }
    if (wasReady && ledger.lossCredits > 0) {
      ledger.lossCredits -= 1;
      return;
    }
    if (!wasReady && ledger.lossCredits > 0) return;
    this.phase = wasReady ? 'ready' : 'login';
    this.violation(`was closed for no reason: ${word}; ${this.describe()}`);
    this.phase = 'gone';
  }

  private isEndedByOperator(fatal: Map<string, string> | null): boolean {
    const { ledger, schedule } = this.ground;
    const isOver = ledger.killing || (ledger.draining !== null && schedule.now >= ledger.draining.until);
    // In the middle of an answer nothing can be said.
    if (isOver && fatal === null && !this.settledNow) return true;
    const code = fatal?.get('C');
    if (code !== '57P01' && code !== '57P03') return false;
    if (isOver || ledger.draining === null) return isOver;
    if (this.standing === 'idle') ledger.note('a client is closed between two transactions, to drain');
    return this.standing === 'idle';
  }

  /**
   * Its login asks for something of a database that was paused before the gateway began to drain: nobody resumes that. Or it
   * waits for a server connection where others keep theirs until they leave.
   */
  private waitsInVain(fatal: Map<string, string> | null): boolean {
    const { ledger, plan } = this.ground;
    const mayWait = ledger.draining !== null || plan.settings.poolMode === 'session';
    return mayWait && fatal?.get('M')?.startsWith('client_login_timeout') === true;
  }

  private mayBeRefused(fatal: Map<string, string> | null): boolean {
    const code = fatal?.get('C') ?? '';
    const { settings, client } = this.ground.plan;
    if (code === '28P01') this.ground.ledger.note('a wrong password');
    if (code === '22023') this.ground.ledger.note('the parameters of a client are refused');
    if (!this.identity.welcome) return UNWELCOME.has(code);
    return code === '53300' && settings.maxClientConn < 100 && client.count > 0;
  }

  private hasWaitedTooLong(fatal: Map<string, string> | null): boolean {
    const limit = this.ground.plan.settings.queryWaitTimeoutMs;
    if (limit === 0 || this.settledNow || !fatal?.get('M')?.startsWith('query_wait_timeout')) return false;
    return this.ground.schedule.now - this.askedAt >= limit;
  }

  private violation(what: string): void {
    this.ground.ledger.fail(`${this.label} ${what}`);
  }
}

/** What those are told who should not be let in: wrong password, database, parameter; or too many were there. */
const UNWELCOME: ReadonlySet<string> = new Set(['28P01', '3D000', '22023', '53300']);
/** The newest minor version of the protocol that there is. */
const NEWEST_MINOR_VERSION = 2;
const ACCEPTED = 0x53;
const REFUSED = 0x4e;

/** The error itself has come by then. */
const REFUSED_BATCH_SHOWS: ReadonlySet<number> = new Set([Backend.ErrorResponse, Backend.ParameterStatus]);

/** A server connection was lost, and the client's session was not. */
function isLoss(error: Packet): boolean {
  if (error.type !== Backend.ErrorResponse) return false;
  const fields = readFields(error);
  const message = fields.get('M') ?? '';
  return fields.get('S') === 'ERROR' && LOSSES.some((beginning) => message.startsWith(beginning));
}

const LOSSES = ['the transaction is lost with its server connection', 'connection to server was lost'];

/** The gateway could not give a server connection what the client has set. */
function isUnserved(error: Packet): boolean {
  return error.type === Backend.ErrorResponse && readFields(error).get('H')?.includes(UNSERVED_HINT) === true;
}

const UNSERVED_HINT = 'could not be given what this session has set';

/** A notice that answers nothing: the server's own, or the gateway's. */
function isUnasked(message: string | undefined): boolean {
  return message?.startsWith('async ') === true || isOurNotice(message);
}

function matches(expected: Packet, actual: Packet): boolean {
  if (expected.bytes.equals(actual.bytes)) return true;
  if (expected.type !== Backend.ErrorResponse || actual.type !== Backend.ErrorResponse) return false;
  const [code, actualCode] = [expected, actual].map((error) => readFields(error).get('C'));
  // A statement that the gateway prepares again may read what has gone since: that shows before its parameters are counted.
  if (code === '08P01' && actualCode === '42P01') return true;
  // In strict mode the gateway says what it was refused for.
  if (code === '42703' && actualCode === '0A000') return true;
  return code === actualCode && WORDS_MAY_DIFFER.has(code ?? '');
}
