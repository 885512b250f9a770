/** One connection to a node: a login, then a session of a client's, or of the gateway's own. */
import { QUERYING } from '../../src/core/route/node-queries.js';
import { WATCHING } from '../../src/core/route/node-watch.js';
import * as Backend from '../../src/wire/backend.js';
import * as Frontend from '../../src/wire/frontend.js';
import * as Packets from '../packets.js';
import { Framer, type Packet } from '../packets.js';
import { authenticationOk } from '../passwords.js';
import { messageTokens, PostgresSession } from '../postgres-session.js';
import type { Random } from '../random.js';
import type { Append, Lists } from '../session-lists.js';
import type { Peer, SimConnection } from '../sim-connection.js';
import type { Statement } from '../sql.js';
import { describePacket } from '../trace.js';
import type { ListNode, NodeClient } from './list-node.js';
import type { RoutedGround } from './routed-ground.js';

const HEADER_BYTES = 5;
const FLUSHING: ReadonlySet<number> = new Set([Backend.ReadyForQuery, Backend.ErrorResponse]);
const NO_LOCKS = { mayHave: () => true, freed: () => {} };
const CONFLICT = 'canceling statement due to conflict with recovery';
/** What replay may conflict with. */
const READING: ReadonlySet<Statement['kind']> = new Set(['read-list', 'current-setting']);

export class NodeSession implements Peer, NodeClient, Lists {
  readonly label: string;
  private readonly ground: RoutedGround;
  private readonly node: ListNode;
  private readonly connection: SimConnection;
  private readonly random: Random;
  private readonly framer: Framer;
  private readonly sent: Framer;
  private session: PostgresSession | null = null;
  /** It is one of the gateway's own. */
  private own: typeof WATCHING | typeof QUERYING | null = null;
  private isDead = false;
  /** Its transaction has begun while the node was a standby. */
  private beganInRecovery = false;
  /** What it has been told last: the node is a standby. */
  private toldOfRecovery = false;
  /** The next step is under way and takes time. */
  private isBusy = false;
  /** Questions of the gateway's own, in order. */
  private readonly questions: Packet[] = [];
  private held: Packet[] = [];
  /** What comes while the node stands still. */
  private missed: Buffer[] = [];
  /** It commits, and the client may not be told yet. */
  private isCommitting = false;
  /** A part of the answer is out, and an end follows. */
  private isDying = false;

  constructor(ground: RoutedGround, node: ListNode, connection: SimConnection, number: number) {
    this.ground = ground;
    this.node = node;
    this.connection = connection;
    this.random = ground.random.fork();
    this.label = `${node.name} session ${number}`;
    const broken = (why: string): void => ground.ledger.fail(`${this.label} got a broken message: ${why}`);
    this.framer = new Framer(true, (message) => this.take(message), broken);
    this.sent = new Framer(true, (message) => this.handedOver(message), broken);
    node.sessions.add(this);
    // It was there when it was dialled, and is not any more.
    if (!node.isRunning) ground.schedule.after(0, () => this.die('crash'));
  }

  /** Logged in for clients, with nothing under way: it can rest in a pool. */
  get isResting(): boolean {
    const { session } = this;
    return session?.idle === true && !this.isDead && !this.isBusy && this.held.length === 0;
  }

  get isAtRest(): boolean {
    return this.session === null || this.isResting;
  }

  get isOfPool(): boolean {
    return this.own === null && !this.isDead;
  }

  // --- The connection -----------------------------------------------------------------------------------------

  announced(bytes: Buffer): void {
    if (bytes.length === 0 || this.isDead) this.ground.ledger.blindSends += 1;
    this.sent.receive(bytes);
  }

  private handedOver(message: Packet): void {
    const { ledger, primaryByGateway } = this.ground;
    for (const token of messageTokens(message)) {
      ledger.handOver(token, this.node.name, primaryByGateway());
    }
  }

  received(piece: Buffer): void {
    if (this.isDead || !this.node.isRunning) return;
    if (this.node.isFrozen) {
      this.missed.push(piece);
      return;
    }
    this.framer.receive(piece);
    this.run();
  }

  ended(): void {
    this.end();
    this.ground.io.peerCloses(this.connection);
  }

  cut(): void {
    this.end();
  }

  private end(): void {
    this.isDead = true;
    this.node.sessions.delete(this);
  }

  die(how: 'crash' | 'shutdown'): void {
    if (this.isDead) return;
    this.ground.ledger.trace(() => `${this.label} ends (${how})`);
    const word = Packets.errorResponse(
      'FATAL',
      '57P01',
      'terminating connection due to administrator command',
    );
    if (how === 'shutdown') this.connection.toGateway.write(word.bytes);
    this.end();
    if (how === 'shutdown') this.ground.io.peerCloses(this.connection);
    else this.ground.io.cutByPeer(this.connection, 'connection reset by peer');
  }

  thawed(): void {
    for (const piece of this.missed.splice(0)) if (!this.isDead) this.framer.receive(piece);
    this.run();
  }

  // --- Login --------------------------------------------------------------------------------------------------

  private take(message: Packet): void {
    this.ground.ledger.trace(() => `${this.label} <- ${describePacket(message, false)}`);
    if (message.type === 0) this.greet(message.bytes);
    else if (message.type === Frontend.Terminate) this.ended();
    else if (this.own !== null) this.questions.push(message);
    else this.session?.push(message);
  }

  private greet(bytes: Buffer): void {
    const parameters = new Map<string, string>();
    for (let at = 8; bytes[at] !== 0; ) {
      const [name, valueAt] = Packets.readCstring(bytes, at);
      const [value, next] = Packets.readCstring(bytes, valueAt);
      parameters.set(name, value);
      at = next;
    }
    const name = parameters.get('application_name');
    if (name === WATCHING || name === QUERYING) this.own = name;
    else this.session = new PostgresSession(parameters, NO_LOCKS, () => {}, this);
    this.write(authenticationOk());
    for (const [parameter, value] of this.session?.parameters.report() ?? []) {
      this.write(Packets.parameterStatus(parameter, value));
    }
    this.write(this.recoveryStatus());
    this.write(Packets.packet(Backend.BackendKeyData, Packets.int32(1), Buffer.alloc(4)));
    this.write(Packets.readyForQuery(Backend.Idle));
  }

  private recoveryStatus(): Packet {
    this.toldOfRecovery = this.node.isInRecovery;
    return Packets.parameterStatus('in_hot_standby', this.toldOfRecovery ? 'on' : 'off');
  }

  /** A promotion is told in front of the next ReadyForQuery. */
  private tellOfPromotion(): void {
    if (this.toldOfRecovery && !this.node.isInRecovery) this.write(this.recoveryStatus());
  }

  private write(message: Packet): void {
    if (message.type === Backend.ReadyForQuery) this.tellOfPromotion();
    this.ground.ledger.trace(() => `${this.label} -> ${describePacket(message, true)}`);
    this.connection.toGateway.write(message.bytes);
  }

  // --- Work ---------------------------------------------------------------------------------------------------

  private run(): void {
    while (!this.isDead && !this.isBusy && !this.node.isFrozen) {
      if (this.own !== null) {
        const question = this.questions.shift();
        if (question === undefined) return;
        this.answerOwn(this.own, question);
        continue;
      }
      const next = this.session?.next ?? 'nothing';
      if (next === 'nothing') return;
      if (next === 'statement') {
        // A transaction that has begun in recovery stays read-only, also when the node is promoted meanwhile.
        if (this.session?.status === Backend.Idle) this.beganInRecovery = this.node.isInRecovery;
        this.takeTime(() => this.step());
      } else this.step();
    }
  }

  /** Goes on later, unless it has ended meanwhile, or stands still. */
  private takeTime(
    then: () => void,
    ms = this.random.fraction() ** 2 * this.ground.plan.servers.workMsMax,
  ): void {
    this.isBusy = true;
    this.ground.schedule.after(ms, () => {
      if (this.isDead) return;
      if (this.node.isFrozen) return this.takeTime(then, 1);
      this.isBusy = false;
      then();
      this.run();
    });
  }

  private answerOwn(own: string, { type, bytes }: Packet): void {
    const { node } = this;
    const { bytes: answer } = node.answer(type, bytes, HEADER_BYTES, bytes.length);
    const row = [
      Packets.rowDescription(['digest']),
      Packets.dataRow(['1']),
      Packets.commandComplete('SELECT 1'),
      Packets.readyForQuery(Backend.Idle),
    ];
    const reply = own === QUERYING ? Buffer.concat(row.map((message) => message.bytes)) : answer;
    const ms = this.random.fraction() * this.ground.plan.servers.watchMsMax;
    this.takeTime(() => {
      // The answer is made already; nothing depends on where in front of its end the word comes.
      this.tellOfPromotion();
      this.connection.toGateway.write(reply);
    }, ms);
  }

  private step(): void {
    const session = this.session!;
    const { conflicts, deaths } = this.ground.plan.servers;
    const statement = session.nextStatement;
    const isRead = statement !== null && READING.has(statement.kind);
    if (isRead && this.node.isInRecovery && this.random.chance(conflicts)) {
      session.failNext('40001', CONFLICT);
    } else session.step();
    this.held.push(...session.out.splice(0));
    if (session.terminated) return this.ended();
    if (statement !== null && this.random.chance(deaths)) return this.dieMidway(isRead);
    if (!this.isCommitting) this.flush();
  }

  /** It ends before it has answered, or in the middle of the rows. */
  private dieMidway(isRead: boolean): void {
    if (isRead && this.random.chance(0.5)) for (const message of this.held.splice(0)) this.write(message);
    this.isDying = true;
    this.takeTime(() => this.die(this.random.pick(['crash', 'shutdown'])), this.random.fraction() * 5);
  }

  private flush(): void {
    if (this.isDying) return;
    const last = this.held.findLastIndex(({ type }) => FLUSHING.has(type));
    for (const message of this.held.splice(0, last + 1)) this.write(message);
  }

  // --- Lists --------------------------------------------------------------------------------------------------

  get refusal(): string | null {
    return this.beganInRecovery ? 'cannot execute UPDATE in a read-only transaction' : null;
  }

  read(list: number, own: readonly Append[]): string {
    return this.ground.cluster.read(this.node, list, own);
  }

  append(): void {
    this.ground.cluster.write(this.node);
  }

  commit(appends: readonly Append[]): void {
    this.isCommitting = true;
    this.isBusy = true;
    this.ground.cluster.commit(this.node, appends, () => {
      this.isCommitting = false;
      this.isBusy = false;
      if (this.isDead) return;
      // What follows is done when the step that commits is over.
      this.takeTime(() => this.flush(), 0);
    });
  }
}
