/** One connection to the model server: login, then a session that takes its time, fails and dies as planned. */
import { SHARED_NAME } from '../src/core/listening/shared-connection.js';
import * as Backend from '../src/wire/backend.js';
import * as Frontend from '../src/wire/frontend.js';
import type { Ground } from './ground.js';
import { asksWho, type Door, otherMethod, tellWho } from './local-socket.js';
import type { ModelServer } from './model-server.js';
import { isCopyData, isSslRequest, Ownership } from './ownership.js';
import * as Packets from './packets.js';
import { Framer, type Packet } from './packets.js';
import { authenticationOk, PasswordCheck } from './passwords.js';
import { serverVersion } from './plan.js';
import { PostgresSession } from './postgres-session.js';
import type { Random } from './random.js';
import type { CancelTask } from './schedule.js';
import { GARBAGE, LAST_WORDS, NONSENSE, NONSENSE_MS_MAX, WAYS_TO_DIE } from './server-mishaps.js';
import { SessionAlignment } from './session-alignment.js';
import type { SessionObjects } from './session-objects.js';
import { invalidParameter } from './session-parameters.js';
import type { Peer, SimConnection } from './sim-connection.js';
import type { Statement } from './sql.js';
import { tokenOwners } from './sql.js';
import { describePacket } from './trace.js';

/** PostgreSQL sends its output buffer when it holds this much. Bytes. */
const OUTPUT_BUFFER_BYTES = 8192;
/** What the model operating system takes before the server must wait. Bytes. */
const SOCKET_BUFFER_BYTES = 16_384;
/** These reach the client at once; everything else may wait in the output buffer. */
const FLUSHING: ReadonlySet<number> = new Set([
  Backend.ReadyForQuery,
  Backend.ErrorResponse,
  Backend.NoticeResponse,
  Backend.CopyInResponse,
  Backend.Authentication,
]);

/** What these make stays with the server connection. */
const PINNING: ReadonlySet<Statement['kind']> = new Set([
  ...(['sql-prepare', 'create-temporary', 'lock', 'try-lock', 'declare', 'listen'] as const),
]);

export class ServerSession implements Peer {
  readonly label: string;
  readonly processId: number;
  /** Long for whoever has asked for protocol 3.2. */
  secret: Buffer;
  /** From the startup packet; empty before it. */
  user = '';
  database = '';
  private readonly ground: Ground;
  private readonly server: ModelServer;
  private readonly connection: SimConnection;
  /** What the gateway has come to by a unix socket; null: it has come by TCP. */
  private readonly door: Door | null;
  private readonly random: Random;
  private readonly framer: Framer;
  private readonly ownership: Ownership;
  private readonly alignment: SessionAlignment;
  private newProtocol = false;
  private check: PasswordCheck | null = null;
  private session: PostgresSession | null = null;
  private dead = false;
  /** A client has made something that ties the connection to it, perhaps until it leaves. */
  private pinned = false;
  /** It has fallen silent, with its connection open. */
  private hung = false;
  /** Steps until it does; -1: never. */
  private stepsToHang = -1;
  private parameters = new Map<string, string>();
  /** Steps until it dies; -1: never by itself. */
  private stepsLeft = -1;
  /** The next step is under way and takes time. */
  private working: CancelTask | null = null;
  /** Notifications that have not been told yet. */
  private readonly inbox: { readonly channel: string; readonly message: Packet }[] = [];
  /** Answers in the output buffer, and those that wait for the socket. */
  private held: Packet[] = [];
  private heldBytes = 0;
  private readonly backlog: Packet[] = [];
  private requestsTaken = 0;
  /** Those of them that were its login. */
  private loginRequests = 0;
  private charged = false;
  /** The statement of which the backlog is the answer. */
  private answering: Statement | null = null;
  /** How far the answers to requests reach in the stream towards the gateway. */
  private answersEnd = 0;

  constructor(
    ground: Ground,
    server: ModelServer,
    connection: SimConnection,
    { processId, door }: { readonly processId: number; readonly door: Door | null },
  ) {
    this.ground = ground;
    this.server = server;
    this.connection = connection;
    this.processId = processId;
    this.door = door;
    this.random = ground.random.fork();
    this.secret = Buffer.from(this.random.bytes(4));
    this.label = `server ${processId}`;
    this.framer = new Framer(
      true,
      (message) => this.take(message),
      (why) => ground.ledger.fail(`${this.label} received a broken message: ${why}`),
    );
    const sessionPooling = ground.plan.settings.poolMode === 'session';
    this.ownership = new Ownership(ground.ledger, sessionPooling, this.label);
    this.alignment = new SessionAlignment(ground.plan.seed, processId, ground.ledger);
    connection.toGateway.onProgress = () => this.proceed();
  }

  /** The gateway has not let go of it. */
  get heldByGateway(): boolean {
    return this.connection.state === 'open' && !this.dead;
  }

  /** The gateway listens over it for its clients; it belongs to no pool. */
  get isShared(): boolean {
    return this.parameters.get('application_name') === SHARED_NAME;
  }

  /** What its clients have left in it; null before its login. */
  get objects(): SessionObjects | null {
    return this.session?.objects ?? null;
  }

  /** Logged in, with nothing under way: it can rest in a pool. */
  get resting(): boolean {
    return this.session !== null && this.quiet && !this.dead;
  }

  // --- The connection -------------------------------------------------------------------------------------------

  announced(bytes: Buffer): void {
    if (this.dead) {
      // The gateway could not know yet: whoever this was for is lost.
      this.chargeLoss();
      return;
    }
    this.ownership.announced(bytes, this.quiet);
  }

  received(piece: Buffer): void {
    if (this.dead || this.hung) return;
    this.framer.receive(piece);
    this.run();
  }

  /** The gateway has finished: PostgreSQL ends a session whose client has gone. */
  ended(): void {
    this.end();
    this.ground.io.peerCloses(this.connection);
  }

  cut(): void {
    this.end();
  }

  private end(): void {
    if (this.dead) return;
    this.dead = true;
    this.working?.();
    this.working = null;
    this.server.sessionEnded(this);
  }

  /** Nothing sent to it is unanswered, no answer is on its way, and no transaction is open. */
  private get quiet(): boolean {
    const { toGateway } = this.connection;
    return (
      this.requestsTaken === this.ownership.requestsSent &&
      !this.ownership.midMessage &&
      (this.session?.idle ?? true) &&
      this.held.length === 0 &&
      this.backlog.length === 0 &&
      toGateway.delivered >= this.answersEnd
    );
  }

  // --- Login ----------------------------------------------------------------------------------------------------

  private take(message: Packet): void {
    this.ground.ledger.trace(() => `${this.label} <- ${describePacket(message, false)}`);
    if (isSslRequest(message)) return this.answerSslRequest();
    if (!isCopyData(message)) this.requestsTaken += 1;
    if (this.session !== null && asksWho(message)) {
      for (const answer of tellWho(this.door, this.processId)) this.answer(answer);
    } else if (this.session !== null) this.session.push(message);
    else if (message.type === 0) this.takeUntyped(message.bytes);
    else this.takePassword(message);
  }

  private answerSslRequest(): void {
    this.framer.takeUntyped();
    const { plan, io } = this.ground;
    const isOffered = plan.server.tls !== 'none';
    if (this.random.chance(plan.server.loginErrors)) return this.dieSomehow();
    this.connection.toGateway.write(Buffer.from(isOffered ? 'S' : 'N'));
    if (isOffered) io.peerStartsTls(this.connection, null);
    if (this.random.chance(plan.server.deaths / 4)) this.dieSomehow();
  }

  private takeUntyped(bytes: Buffer): void {
    const { ledger, plan, schedule } = this.ground;
    if (bytes.readInt32BE(4) === Frontend.CancelRequestCode) {
      this.server.cancel(bytes.readInt32BE(8), bytes.subarray(12), () => {
        this.end();
        this.ground.io.peerCloses(this.connection);
      });
      return;
    }
    this.newProtocol = (bytes.readInt32BE(4) & 0xffff) > 0;
    let at = 8;
    while (bytes[at] !== 0) {
      const [name, valueAt] = Packets.readCstring(bytes, at);
      const [value, next] = Packets.readCstring(bytes, valueAt);
      this.parameters.set(name, value);
      at = next;
    }
    this.database = this.parameters.get('database') ?? '';
    this.user = this.parameters.get('user') ?? '';
    this.server.checkPoolSize(this);
    if (this.newProtocol) {
      const { protocol } = plan.server;
      if (protocol === 'old') ledger.fail(`${this.label} is asked for protocol 3.2, which it can't know`);
      if (protocol === 'unknown') return this.die('fatal', '08P01', 'unsupported protocol');
      if (protocol === 'new') this.secret = Buffer.from(this.random.bytes(32));
      else
        this.answer(
          Packets.packet(Backend.NegotiateProtocolVersion, Packets.int32(0x3_0000), Packets.int32(0)),
        );
      ledger.note('a server is asked for the newest protocol');
    }
    if (this.door === 'a refusal') return this.die('fatal', '28000', 'pg_hba.conf rejects connection');
    const isPlainTcp = this.door === null && this.connection.tls !== 'secured';
    if (plan.server.tls === 'required' && isPlainTcp) {
      return this.die('fatal', '28000', 'no pg_hba.conf entry for host, no encryption');
    }
    if (this.random.chance(plan.server.loginErrors)) {
      ledger.serverTrouble = true;
      return this.die('fatal', '53300', 'sorry, too many clients already');
    }
    if (this.random.chance(plan.server.hangs)) {
      if (this.random.chance(0.3)) return this.hang();
      this.stepsToHang = this.random.int(0, 30);
    }
    if (this.random.chance(plan.server.deaths)) {
      if (this.random.chance(0.5)) this.stepsLeft = this.random.int(0, 30);
      else schedule.after(this.random.fraction() * 500, () => this.dieSomehow());
    }
    const { user } = this;
    const { auth } = plan.server;
    const method = this.door === 'another kind of authentication' ? otherMethod(auth) : auth;
    this.check = new PasswordCheck(method, user, plan.passwords.get(user) ?? '', this.random);
    const question = this.check.ask();
    if (question === null) this.welcome();
    else this.answer(question);
  }

  private takePassword(message: Packet): void {
    if (this.door === 'another kind of authentication') {
      this.ground.ledger.fail(`${this.label} is told a password in another way than by TCP`);
    }
    const { done, reply } = this.check!.answer(message);
    if (reply !== null) this.answer(reply);
    if (done) this.welcome();
    else if (reply === null) {
      this.ground.ledger.fail(`${this.label}: the gateway could not log in`);
      this.die('fatal', '28P01', 'password authentication failed');
    }
  }

  private welcome(): void {
    const { ledger } = this.ground;
    const invalid = invalidParameter(this.parameters);
    if (invalid !== undefined) {
      return this.die('fatal', '22023', `invalid value for parameter "${invalid}"`);
    }
    // The rest of what happens in a session is noted by its client's own copy of it.
    this.session = new PostgresSession(this.parameters, this.server.lockKeeper(this), (situation) => {
      if (situation === 'state that is not reported is reset') ledger.note(situation);
    });
    this.loginRequests = this.requestsTaken;
    this.answer(authenticationOk());
    for (const [name, value] of this.session.parameters.report()) {
      const told = name === 'server_version' ? serverVersion(this.ground.plan.server) : value;
      this.answer(Packets.parameterStatus(name, told));
    }
    this.answer(Packets.packet(Backend.BackendKeyData, Packets.int32(this.processId), this.secret));
    this.answer(Packets.readyForQuery(Backend.Idle));
    const { asides } = this.ground.plan.server;
    if (this.random.chance(asides * 5)) {
      this.ground.schedule.after(this.random.fraction() * 500, () => this.aside());
    }
  }

  // --- Work -----------------------------------------------------------------------------------------------------

  private run(): void {
    const { session } = this;
    if (session === null) return;
    while (!this.dead && !this.hung && this.working === null && this.backlog.length === 0) {
      const next = session.next;
      if (next === 'nothing') return;
      this.working = this.server.waitForLock(this, session.nextStatement, () => {
        this.working = null;
        this.run();
      });
      if (this.working !== null) return;
      const delay = next === 'statement' ? this.timeFor(session.nextStatement, session.copyIn !== null) : 0;
      if (delay > 0) {
        this.working = this.ground.schedule.after(delay, () => {
          this.working = null;
          this.step(session);
          this.run();
        });
        return;
      }
      this.step(session);
    }
  }

  private timeFor(statement: Statement | null, inCopy: boolean): number {
    const { workMsMax } = this.ground.plan.server;
    const sleep = statement?.kind === 'select' ? statement.sleepMs : 0;
    if (sleep === 0 && this.random.chance(inCopy ? 0.9 : 0.4)) return 0;
    return sleep + this.random.fraction() * workMsMax;
  }

  private step(session: PostgresSession): void {
    if (this.stepsToHang > 0) this.stepsToHang -= 1;
    else if (this.stepsToHang === 0) return this.hang();
    if (this.stepsLeft > 0) this.stepsLeft -= 1;
    else if (this.stepsLeft === 0) return this.dieSomehow();
    const input = session.nextInput;
    this.answering = session.nextStatement;
    this.checkOwner(session, this.answering);
    if (this.answering !== null && PINNING.has(this.answering.kind))
      this.pinned ||= this.answering.token !== '';
    else if (this.answering?.kind === 'discard-all') this.pinned &&= this.answering.token !== '';
    if (!this.alignment.meets(session, this.answering, this.isFollowedByRequests)) session.step();
    this.tellOthers(session);
    this.answerAll(session);
    if (input === Frontend.Flush) this.releaseHeld();
    if (session.terminated) {
      // What it has not read is answered with a reset, which may overtake its last words.
      if (this.isFollowed) this.chargeLoss();
      this.end();
      this.ground.io.peerCloses(this.connection);
    } else if (this.random.chance(this.ground.plan.server.asides)) this.aside();
  }

  /** A request of one client may not meet what another one has left. */
  private checkOwner(session: PostgresSession, statement: Statement | null): void {
    const client = statement === null ? undefined : tokenOwners(statement.token)[0];
    if (client === undefined) return;
    for (const [what, token] of session.objects.entries(this.ground.plan.settings)) {
      const owner = tokenOwners(token)[0];
      // What has no owner the gateway has made, for the client that comes next.
      if (owner === client || owner === undefined) continue;
      this.ground.ledger.fail(
        `${this.label} runs a request of client ${client} with ${what} of client ${owner}`,
      );
    }
  }

  private answerAll(session: PostgresSession): void {
    for (const message of session.out.splice(0)) {
      if (message.type === Backend.ReadyForQuery && message.bytes[5] === Backend.Idle) this.tellHeard();
      this.answer(message);
    }
  }

  private tellOthers(session: PostgresSession): void {
    const sent = session.objects.takeSent();
    if (sent.length > 0) this.ground.ledger.notifications.commit(this, sent, this.server.sessions);
  }

  /** Somebody has notified it: it tells the other side between two transactions. */
  hear(channel: string, message: Packet): void {
    this.inbox.push({ channel, message });
    const isIdle = this.session?.idle === true && this.working === null && this.session.out.length === 0;
    if (isIdle && this.held.length + this.backlog.length === 0) {
      this.tellHeard();
      this.releaseHeld();
    }
  }

  private tellHeard(): void {
    for (const { channel, message } of this.inbox.splice(0)) {
      // It may have stopped listening meanwhile.
      if (this.objects?.channels.has(channel) === true) this.answer(message);
    }
  }

  private answer(message: Packet): void {
    this.held.push(message);
    this.heldBytes += message.bytes.length;
    if (FLUSHING.has(message.type) || this.heldBytes >= OUTPUT_BUFFER_BYTES) this.releaseHeld();
  }

  private releaseHeld(): void {
    this.backlog.push(...this.held);
    this.held = [];
    this.heldBytes = 0;
    this.writeBacklog();
  }

  private writeBacklog(): void {
    if (this.dead || this.backlog.length === 0) return;
    const { toGateway } = this.connection;
    while (this.backlog.length > 0 && toGateway.queued < SOCKET_BUFFER_BYTES)
      this.write(this.backlog.shift()!);
    this.answersEnd = toGateway.written;
  }

  /** The socket has room again. */
  private proceed(): void {
    if (this.backlog.length === 0 || this.hung) return;
    this.writeBacklog();
    this.run();
  }

  private write(message: Packet): void {
    this.ground.ledger.trace(() => `${this.label} -> ${describePacket(message, true)}`);
    if (message.type === Backend.ReadyForQuery && message.bytes[5] === Backend.Idle && this.isFollowed) {
      this.ground.ledger.note('a server is idle between two batches of a pipeline');
    }
    this.connection.toGateway.write(message.bytes);
  }

  private get isFollowed(): boolean {
    return (this.session?.pending ?? 0) > 0 || this.requestsTaken < this.ownership.requestsSent;
  }

  /** The same without the gateway's own end of a client's input, which asks for nothing. */
  private get isFollowedByRequests(): boolean {
    const { requestsSent, endsByItself } = this.ownership;
    const pending = this.session?.countPending((message) => !isCopyData(message)) ?? 0;
    const behind = pending + requestsSent - this.requestsTaken;
    return behind > (endsByItself ? 1 : 0);
  }

  /** Something that PostgreSQL may say at any time. */
  private aside(): void {
    if (this.dead || this.hung || this.backlog.length > 0 || this.held.length > 0) return;
    this.ground.ledger.note(
      this.quiet
        ? 'a message of the server that nobody asked for, at rest'
        : 'a message of the server that nobody asked for, at work',
    );
    const words = `async from ${this.label}`;
    const kind = this.random.int(1, 3);
    if (kind === 1) this.write(Packets.notice('WARNING', '01000', words));
    else if (kind === 2) this.write(Packets.notification(this.processId, 'channel', words));
    else this.write(Packets.parameterStatus('in_hot_standby', this.random.pick(['on', 'off'])));
  }

  // --- Mishaps --------------------------------------------------------------------------------------------------

  /** A cancel request for this session takes effect, if there is anything to cancel. */
  cancel(): void {
    const { session } = this;
    if (session === null || this.dead || this.hung) return;
    const isRunning = this.backlog.length > 0 || this.working !== null || session.copyIn !== null;
    if (!isRunning) this.ground.ledger.note('a cancel request comes too late');
    if (this.backlog.length > 0) {
      const statement = this.answering;
      if (statement?.kind !== 'select' && statement?.kind !== 'copy-out') return;
      this.noteCancel(statement);
      this.backlog.length = 0;
      this.held = [];
      this.heldBytes = 0;
      session.cancelCurrent();
    } else if (this.working !== null || session.copyIn !== null) {
      this.working?.();
      this.working = null;
      this.noteCancel(session.copyIn?.statement ?? session.nextStatement);
      session.cancelNext();
    } else return;
    this.answerAll(session);
    this.run();
  }

  private noteCancel(statement: Statement | null): void {
    const client = statement === null ? undefined : tokenOwners(statement.token)[0];
    this.ground.ledger.trace(() => `${this.label} cancels ${statement?.kind} ${statement?.token}`);
    if (client !== undefined) this.ground.ledger.cancelLanded(client);
  }

  private hang(): void {
    this.ground.ledger.trace(() => `${this.label} hangs`);
    this.ground.ledger.note('a server falls silent');
    this.ground.ledger.serverTrouble = true;
    // Its client may have its answer already, and the gateway ask something of its own.
    this.chargeLoss();
    this.hung = true;
  }

  private dieSomehow(): void {
    if (this.dead || this.hung) return;
    // Before it was asked for anything the gateway may not even know yet that the login has succeeded.
    const isNew = this.session === null || this.requestsTaken === this.loginRequests;
    if (isNew) this.ground.ledger.serverTrouble = true;
    const how = this.random.pick(WAYS_TO_DIE);
    const [code, message] = this.random.pick(LAST_WORDS);
    this.die(how, code, message);
  }

  private dieWithAWord(code: string, message: string): void {
    if (this.session?.inBlock === true) this.ground.ledger.note('FATAL within a transaction');
    else if (this.session !== null && this.quiet) this.ground.ledger.note('FATAL at rest');
    this.write(Packets.errorResponse('FATAL', code, message));
  }

  private die(how: (typeof WAYS_TO_DIE)[number], code: string, message: string): void {
    const { io, ledger } = this.ground;
    ledger.trace(() => `${this.label} dies (${how})`);
    // A client has its server connection from its login on, and need not have asked it for anything.
    const linked = this.ground.plan.settings.poolMode === 'session' && this.session !== null;
    if (!this.quiet || linked || this.pinned) this.chargeLoss();
    const { toGateway } = this.connection;
    if (how === 'fatal') this.dieWithAWord(code, message);
    else if (how === 'half') toGateway.write(Packets.dataRow(['half a row']).bytes.subarray(0, 9));
    else if (how === 'garbage') toGateway.write(this.random.pick(GARBAGE));
    else if (how === 'nonsense') this.write(this.random.pick(NONSENSE));
    this.end();
    if (how === 'reset') io.cutByPeer(this.connection, 'connection reset by peer');
    else if (how === 'nonsense') {
      const delay = this.random.fraction() * NONSENSE_MS_MAX;
      this.ground.schedule.after(delay, () => io.peerCloses(this.connection));
    } else if (how !== 'garbage') io.peerCloses(this.connection);
  }

  /** One client may be lost because this session is. */
  private chargeLoss(): void {
    if (this.charged) return;
    this.charged = true;
    this.ground.ledger.lossCredits += 1;
  }
}
