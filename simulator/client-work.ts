/** What model clients ask: batches of messages, drawn from everything that the protocol allows. */

import { ClientStateWork } from './client-state-work.js';
import type { Packet } from './packets.js';
import * as Packets from './packets.js';
import type { Plan } from './plan.js';
import { FUNCTION_OID } from './postgres-session.js';
import type { Random } from './random.js';
import { INVALID_TIME_ZONE } from './session-parameters.js';
import * as Sql from './sql.js';
import { prepareText, setCommand } from './state-sql.js';

/** Where a client stands when it thinks of what to do next. */
export type Standing = 'idle' | 'in transaction' | 'failed';

const SETTABLE = ['application_name', 'DateStyle', 'TimeZone', 'IntervalStyle', 'application_NAME'] as const;
/** Not reported. */
const OWN_SETTINGS = ['role', 'work_mem'] as const;
const VALUES = ['one', "it's", 'back\\slash', 'Europe/Paris', '', 'ISO, DMY', INVALID_TIME_ZONE] as const;
const NAMES = ['s1', 's2', 's3', 's4'] as const;
/** Names of statements that are prepared in SQL. */
const SQL_NAMES = ['q1', 'q2'] as const;
const SAVEPOINT_COMMANDS = ['SAVEPOINT', 'RELEASE SAVEPOINT', 'ROLLBACK TO SAVEPOINT'] as const;
/** What a Parse may say of its one parameter: nothing, text, varchar, or that the server is to find out. */
const PARAMETER_TYPES = [[], [25], [1043], [1043], [0]] as const;
/** Texts of prepared statements, the same for all clients. The token comes as a parameter. */
const SHARED_TEXTS = [
  Sql.selectText({ token: Sql.PARAMETER, variant: 1, rows: 1, size: 3, sleepMs: 0 }),
  Sql.selectText({ token: Sql.PARAMETER, variant: 2, rows: 4, size: 30, sleepMs: 0 }),
  Sql.selectText({ token: Sql.PARAMETER, variant: 3, rows: 0, size: 0, sleepMs: 0 }),
  Sql.selectText({ token: Sql.PARAMETER, variant: 4, rows: 12, size: 1, sleepMs: 3 }),
  Sql.insertText(Sql.PARAMETER),
  Sql.noticeText(Sql.PARAMETER),
  Sql.failText(Sql.PARAMETER),
] as const;

type Action = () => Packet[];

export class ClientWork {
  /** A COPY FROM STDIN was begun, whose data are still to be sent: what to send behind them. */
  copyEnd: Packet[] | null = null;
  private readonly id: number;
  private readonly plan: Plan;
  private readonly random: Random;
  private tokens = 0;
  /** What the batch so far leads to, if nothing fails. */
  private standing: Standing = 'idle';
  /** The last batch ended with Flush and not with Sync. */
  unsynced = false;
  /** Statements outlive a Sync: they do in session pooling, and where the gateway keeps them. */
  private readonly named: boolean;
  /** Uses names of which it doesn't know yet whether their Parse failed, in a later batch of the same pipeline. */
  private readonly rash: boolean;
  /** Known to be outside a transaction: nothing that it doesn't know the outcome of comes before. */
  private outsideTransaction = true;
  private hasPrepared = false;
  private hasForgotten = false;
  /** Its startup packet named parameters: DISCARD ALL goes back to these. */
  private readonly hasWishes: boolean;
  private readonly blocks: boolean;

  private readonly state: ClientStateWork | null;

  /** @param startup the parameters of its startup packet. */
  constructor(id: number, plan: Plan, random: Random, startup: ReadonlyMap<string, string>) {
    this.id = id;
    this.plan = plan;
    this.random = random;
    const { poolMode, maxPreparedStatements } = plan.settings;
    this.named = poolMode === 'session' || maxPreparedStatements > 0;
    this.blocks = poolMode !== 'statement';
    this.hasWishes = startup.size > 2;
    this.rash = random.chance(plan.client.rashness);
    this.state = plan.hasSessionState ? new ClientStateWork(id, plan, startup, () => this.token()) : null;
  }

  /** Messages that a client sends without waiting for an answer. */
  batch(standing: Standing): Packet[] {
    this.standing = standing;
    this.hasPrepared = false;
    this.hasForgotten = false;
    const packets: Packet[] = [];
    if (this.unsynced) {
      this.unsynced = false;
      if (this.random.chance(0.5)) packets.push(...this.unnamedUse());
      return [...packets, Packets.sync()];
    }
    const stateful = this.state?.batch(standing) ?? null;
    if (stateful !== null) return stateful;
    let actions = this.random.chance(0.7) ? 1 : this.random.int(2, 5);
    while (actions > 0 && this.copyEnd === null && !this.unsynced) {
      this.outsideTransaction = standing === 'idle' && packets.length === 0;
      packets.push(...this.action()());
      actions -= 1;
    }
    return packets;
  }

  /** The data of the COPY that has been begun, and its end. */
  copyRows(): Packet[] {
    const token = this.token();
    const rows = Array.from({ length: this.random.int(0, 5) }, (_, row) =>
      Packets.copyData(`${token}\t${row}${this.random.chance(0.03) ? '\tbad' : ''}\n`),
    );
    const end = this.random.chance(0.85) ? Packets.copyDone() : Packets.copyFail(`gave up ${token}`);
    const behind = this.copyEnd ?? [];
    this.copyEnd = null;
    return [...rows, end, ...behind];
  }

  /** The last request of a client that closes its sending side behind it. */
  farewell(): Packet[] {
    return [Packets.query(this.select())];
  }

  private token(): string {
    this.tokens += 1;
    return `c${this.id}:${this.tokens}`;
  }

  private action(): Action {
    if (this.standing === 'failed' && this.random.chance(0.7)) return () => this.end('ROLLBACK');
    if (this.standing !== 'idle' && this.random.chance(0.3)) {
      return () => this.end(this.random.chance(0.7) ? 'COMMIT' : 'ROLLBACK');
    }
    return this.random.weighted<Action>([
      [10, () => [Packets.query(this.select())]],
      [4, () => [Packets.query(this.script())]],
      [this.blocks && this.standing === 'idle' ? 8 : 0, () => this.begin()],
      [4, () => [Packets.query(this.oddity())]],
      [4, () => [Packets.query(this.parameter())]],
      [this.standing === 'idle' ? 0 : 4, () => this.savepoint()],
      [2, () => [Packets.query(this.sqlPrepared())]],
      [1, () => [Packets.query(this.random.pick(['', ' ', ';']))]],
      [2, () => [Packets.functionCall(this.random.chance(0.8) ? FUNCTION_OID : 1, this.token())]],
      [8, () => this.unnamed()],
      [3, () => this.portalInPieces()],
      [this.named ? 3 : 0, () => [...this.unnamedUse(), Packets.sync()]],
      [this.named && (this.rash || !this.hasPrepared) ? 14 : 0, () => this.prepared()],
      [3, () => this.copyIn()],
      [2, () => this.copyOut()],
      [1, () => this.mistake()],
      [this.standing === 'idle' ? 1 : 0, () => this.forget()],
      [2, () => this.flushed()],
      [2, () => this.unusual()],
    ]);
  }

  private begin(): Packet[] {
    this.standing = 'in transaction';
    const text = Sql.commandText('BEGIN', this.token());
    return this.random.chance(0.8) ? [Packets.query(text)] : [...this.run(text), Packets.sync()];
  }

  private end(command: string): Packet[] {
    this.standing = 'idle';
    const text = Sql.commandText(command, this.token());
    return this.random.chance(0.8) ? [Packets.query(text)] : [...this.run(text), Packets.sync()];
  }

  private select(): string {
    const { random } = this;
    const { bigRows, bigBytes } = this.plan.client;
    const big = random.chance(0.1);
    return Sql.selectText({
      token: this.token(),
      variant: random.int(10, 99),
      rows: big ? bigRows : random.int(0, 4),
      size: big ? bigBytes : random.int(0, 20),
      sleepMs: random.chance(0.1) ? random.int(1, 200) : 0,
    });
  }

  private script(): string {
    const statements = Array.from({ length: this.random.int(2, 4) }, () => {
      return this.random.chance(0.85) ? this.select() : this.oddity();
    });
    if (this.blocks && this.standing === 'idle' && this.random.chance(0.3)) {
      statements.unshift(Sql.commandText('BEGIN', this.token()));
      if (this.random.chance(0.6)) statements.push(Sql.commandText('COMMIT', this.token()));
      else this.standing = 'in transaction';
    }
    return statements.join('; ');
  }

  private oddity(): string {
    const token = this.token();
    return this.random.weighted([
      [2, Sql.failText(token)],
      [1, Sql.missingText(token)],
      [1, Sql.syntaxErrorText(token)],
      [2, Sql.noticeText(token)],
      [2, Sql.insertText(token)],
      [1, Sql.notifyText(token)],
    ]);
  }

  private parameter(): string {
    const { random } = this;
    // What servers don't report is the client's own where the server connection is.
    const isOwn = this.plan.settings.poolMode === 'session' && random.chance(0.3);
    const name = isOwn ? random.pick(OWN_SETTINGS) : random.pick(SETTABLE);
    if (random.chance(0.5)) return Sql.commandText(`SHOW ${name}`, this.token());
    const local = this.standing === 'in transaction' && random.chance(0.3);
    return Sql.commandText(setCommand({ name, value: random.pick(VALUES), local }), this.token());
  }

  private savepoint(): Packet[] {
    const name = this.random.pick(['a', 'b']);
    const run = (command: string) => Packets.query(Sql.commandText(`${command} ${name}`, this.token()));
    if (this.random.chance(0.5)) return [run(this.random.pick(SAVEPOINT_COMMANDS))];
    return [run('SAVEPOINT'), Packets.query(this.parameter()), run('ROLLBACK TO SAVEPOINT')];
  }

  private sqlPrepared(): string {
    const name = this.random.pick(SQL_NAMES);
    const token = this.token();
    return this.random.weighted([
      [3, prepareText(name, token)],
      [5, Sql.commandText(`EXECUTE ${name}`, token)],
      [1, Sql.commandText(`DEALLOCATE ${name}`, token)],
    ]);
  }

  private parse(name: string, text: string): Packet {
    return Packets.parse(name, text, this.random.pick(PARAMETER_TYPES));
  }

  /** Parse, Bind and Execute of a text that is this client's alone. */
  private run(text: string): Packet[] {
    return [Packets.parse('', text), Packets.bind('', '', []), Packets.execute('', 0)];
  }

  private shared(): string {
    return this.random.weighted([
      [10, this.random.pick(SHARED_TEXTS)],
      [2, Sql.missingText(Sql.PARAMETER)],
      [1, Sql.syntaxErrorText(Sql.PARAMETER)],
    ]);
  }

  private unnamedUse(): Packet[] {
    return [Packets.bind('', '', [this.token()]), Packets.execute('', 0)];
  }

  private unnamed(): Packet[] {
    const { random } = this;
    if (random.chance(0.3)) return [...this.run(this.select()), Packets.sync()];
    const packets = [this.parse('', this.shared())];
    if (random.chance(0.2)) packets.push(Packets.describe('S', ''));
    // The unnamed statement lives on after Sync.
    if (this.named && random.chance(0.3)) packets.push(Packets.sync());
    for (let uses = random.int(1, 3); uses > 0; uses--) {
      packets.push(Packets.bind('', '', [this.token()]));
      if (random.chance(0.3)) packets.push(Packets.describe('P', ''));
      packets.push(Packets.execute('', 0));
      if (this.named && uses > 1 && random.chance(0.3)) packets.push(Packets.sync());
    }
    return [...packets, Packets.sync()];
  }

  private portalInPieces(): Packet[] {
    const portal = this.random.pick(['', 'p1']);
    const packets = [
      Packets.parse('', SHARED_TEXTS[3]),
      Packets.bind(portal, '', [this.token()]),
      Packets.execute(portal, this.random.int(1, 13)),
      Packets.execute(portal, 0),
    ];
    if (this.random.chance(0.5)) packets.push(Packets.close('P', portal));
    return [...packets, Packets.sync()];
  }

  private prepared(): Packet[] {
    const { random } = this;
    this.hasPrepared = true;
    if (this.hasForgotten && !this.rash) return this.preparedAnew();
    const packets: Packet[] = [];
    for (let steps = random.int(1, 4); steps > 0; steps--) {
      const name = random.pick(NAMES);
      packets.push(
        ...random.weighted<Packet[]>([
          [4, [this.parse(name, this.shared())]],
          [1, [Packets.close('S', name)]],
          [2, [Packets.close('S', name), this.parse(name, this.shared())]],
          [this.mayDescribe ? 5 : 0, [Packets.describe('S', name)]],
          [9, [Packets.bind('', name, [this.token()]), Packets.execute('', 0)]],
        ]),
      );
      if (this.rash && random.chance(0.3)) packets.push(Packets.sync());
    }
    return [...packets, Packets.sync()];
  }

  /**
   * In a transaction that has failed a server describes statements without rows, and refuses to prepare them: one that this
   * server connection lacks can't be described there.
   */
  private get mayDescribe(): boolean {
    return this.outsideTransaction;
  }

  /** Right whatever was prepared before. */
  private preparedAnew(): Packet[] {
    const name = this.random.pick(NAMES);
    return [
      Packets.close('S', name),
      Packets.parse(name, this.random.pick(SHARED_TEXTS)),
      Packets.bind('', name, [this.token()]),
      Packets.execute('', 0),
      Packets.sync(),
    ];
  }

  private copyIn(): Packet[] {
    const { random } = this;
    const text = Sql.commandText('COPY t FROM STDIN', this.token());
    if (random.chance(0.5)) {
      this.copyEnd = [];
      return [Packets.query(text)];
    }
    this.copyEnd = [Packets.sync()];
    const begun = this.run(text);
    // All at once, without waiting for the server's word.
    if (random.chance(0.3)) return [...begun, ...this.copyRows()];
    // libpq sends a Sync here, which a server in copy-in mode ignores. With a cancel, nobody knows which Sync it reads.
    if (random.chance(0.5) && this.plan.client.cancels === 0) return [...begun, Packets.sync()];
    return [...begun, Packets.flush()];
  }

  private copyOut(): Packet[] {
    const { bigRows, bigBytes } = this.plan.client;
    const rows = this.random.pick([0, 2, bigRows]);
    const text = Sql.copyOutText(rows, Math.min(bigBytes, 500), this.token());
    return this.random.chance(0.5) ? [Packets.query(text)] : [...this.run(text), Packets.sync()];
  }

  /** What a client with a defect sends: PostgreSQL answers each with an error, and goes on. */
  private mistake(): Packet[] {
    const token = this.token();
    const packets = this.random.pick([
      [Packets.execute('nowhere', 0)],
      [Packets.describe('P', 'nowhere')],
      [Packets.parse('', Sql.failText(token)), Packets.bind('', '', ['one', 'too many'])],
      [Packets.parse('', `${this.select()}; ${this.select()}`)],
      [Packets.close('P', 'nowhere')],
      [Packets.copyDone()],
      [Packets.copyData(`${token}\n`), Packets.copyFail('why')],
      this.named ? [Packets.bind('', 'nowhere', [token]), Packets.execute('', 0)] : [],
      this.named ? [Packets.describe('S', 'nowhere')] : [],
    ]);
    return [...packets, Packets.sync()];
  }

  private forget(): Packet[] {
    this.hasForgotten = true;
    // The gateway does not give back what a startup packet asked for.
    const commands = this.hasWishes ? [] : ['DISCARD ALL'];
    const command = this.random.pick([...commands, 'DEALLOCATE ALL']);
    return [Packets.query(Sql.commandText(command, this.token()))];
  }

  /** Allowed, though few clients do it. */
  private unusual(): Packet[] {
    const { random } = this;
    const lone = [Packets.sync()];
    return random.pick([
      lone,
      [Packets.sync(), Packets.sync()],
      [Packets.flush(), Packets.sync()],
      this.named ? [Packets.bind('', '', [this.token()]), ...this.run(this.select()), Packets.sync()] : lone,
      [Packets.parse('', SHARED_TEXTS[0]), Packets.close('S', ''), ...this.unnamedUse(), Packets.sync()],
      this.named ? [Packets.close('S', ''), Packets.sync()] : lone,
      [...this.run(this.select()), Packets.query(this.select()), Packets.sync()],
      [...this.run(this.oddity()), Packets.query(this.select()), Packets.sync()],
      [...this.run(this.oddity()), Packets.functionCall(FUNCTION_OID, this.token()), Packets.sync()],
      [Packets.parse('', ''), Packets.bind('', '', []), Packets.execute('', 0), Packets.sync()],
    ]);
  }

  /** Answers are asked for without ending the batch. */
  private flushed(): Packet[] {
    this.unsynced = true;
    const packets = [Packets.parse('', this.random.pick(SHARED_TEXTS)), Packets.describe('S', '')];
    if (this.random.chance(0.5)) packets.push(...this.unnamedUse());
    return [...packets, Packets.flush()];
  }
}
