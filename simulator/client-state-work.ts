/** What model clients do with what a session keeps: change it, look at it, and let transactions undo it. */
import { ownKey } from './advisory-locks.js';
import type { Standing } from './client-work.js';
import { CHANNELS } from './notifications.js';
import type { Packet } from './packets.js';
import * as Packets from './packets.js';
import type { Plan } from './plan.js';
import { Random } from './random.js';
import { INVALID_TIME_ZONE } from './session-parameters.js';
import { commandText, failText, notifyText, selectText } from './sql.js';
import * as State from './state-sql.js';

/** Values that any client may choose, and those that are one client's own: in a form that PostgreSQL shows as it is. */
interface Choice {
  readonly common: readonly string[];
  own(client: number, variant: number): string;
}

const TEXTS: Choice = { common: ["it's", 'back\\slash', '', 'one'], own: (id, n) => `of ${id}, ${n}` };
const CUSTOM: Choice = { ...TEXTS, common: [...TEXTS.common, 'Größe', 'naïve\\'] };
const ROLES: Choice = { common: ['none', 'r1'], own: (id) => `r${id}` };

const SETTINGS: Readonly<Record<string, Choice>> = {
  TimeZone: { common: ['Europe/Paris', INVALID_TIME_ZONE], own: (id) => `Etc/GMT-${1 + (id % 12)}` },
  application_name: TEXTS,
  work_mem: { common: ['64kB'], own: (id, n) => `${64 + id * 10 + n}kB` },
  search_path: { common: ['public'], own: (id, n) => `s${id}_${n}` },
  statement_timeout: { common: ['0'], own: (id, n) => `${1_000_000 + id * 10 + n}ms` },
  role: ROLES,
  'app.tenant': CUSTOM,
  'app.user_id': CUSTOM,
};
const NAMES = Object.keys(SETTINGS);
export const CUSTOM_NAMES: readonly string[] = NAMES.filter(State.isCustom);
const TABLES = ['temp1', 'temp2'] as const;
const CURSORS = ['held1', 'held2'] as const;
const STATEMENTS = ['q1', 'q2'] as const;
/** The same, of those that are prepared by the protocol. */
const NAMES_BY_PROTOCOL = ['s1', 's2'] as const;
/** The one lock that clients wait for: with a second one they could wait for each other. */
const CONTENDED_KEY = 1;
const WANTED_KEY = 2;
const STATE_SALT = 0x57_a7e;
/** So many of a client's batches. */
const SHARE = 0.4;
/** So many of the seeds. */
const TALKATIVE = 0.3;

/** Text of a statement. */
type Make = () => string;

export class ClientStateWork {
  private readonly id: number;
  /** Of its own, so that what a seed decides beside it doesn't depend on it. */
  private readonly random: Random;
  private readonly token: () => string;
  private readonly hasBlocks: boolean;
  /** The clients of this seed notify each other more than anything else. */
  private readonly talks: boolean;
  /** What it prepares by the protocol it may let go by SQL. */
  private readonly hasNames: boolean;
  /**
   * In lower case: what the startup packet asked for and RESET does not give back at once. Where server connections are
   * shared that is everything that is reported, in session mode application_name.
   */
  private readonly wishes: ReadonlySet<string>;

  /** @param token gives each statement its token. */
  constructor(id: number, plan: Plan, startup: ReadonlyMap<string, string>, token: () => string) {
    this.id = id;
    this.random = new Random((plan.seed ^ STATE_SALT) + id * 0x1_0000_0000);
    this.token = token;
    this.talks = new Random(plan.seed ^ STATE_SALT).chance(TALKATIVE);
    this.hasBlocks = plan.settings.poolMode !== 'statement';
    this.hasNames = plan.settings.maxPreparedStatements > 0;
    const kept =
      plan.settings.poolMode === 'session' ? ['application_name'] : ['application_name', 'timezone'];
    const names = [...startup.keys()].map((name) => name.toLowerCase());
    this.wishes = new Set(names.filter((name) => kept.includes(name)));
  }

  /** Messages that a client sends without waiting for an answer; null: it has something else to do. */
  batch(standing: Standing): Packet[] | null {
    const { random } = this;
    if (standing === 'failed' || !random.chance(this.talks ? 0.9 : SHARE)) return null;
    const isIdle = standing === 'idle';
    return random.weighted<() => Packet[]>([
      [6, () => [Packets.query(this.statement(!isIdle))]],
      [isIdle ? 1 : 0, () => [Packets.query(this.forget())]],
      [this.hasNames ? 2 : 0, () => [Packets.query(this.letGo())]],
      [isIdle ? 0.5 : 0, () => [Packets.query(this.countChannels())]],
      [2, () => [Packets.query(this.script())]],
      [2, () => this.several(!isIdle).map(Packets.query)],
      [2, () => [...seen(this.several(!isIdle)).flatMap(run), Packets.sync()]],
      [1, () => this.several(!isIdle).flatMap((text) => [...run(text), Packets.sync()])],
      [isIdle && this.hasBlocks ? 4 : 0, () => this.transaction()],
    ])();
  }

  private several(inBlock: boolean): string[] {
    return Array.from({ length: this.random.int(2, 4) }, () => this.statement(inBlock));
  }

  /** One simple Query with an implicit transaction around all of it. */
  private script(): string {
    const statements = this.several(false);
    if (this.random.chance(0.3)) statements.push(failText(this.token()));
    return statements.join('; ');
  }

  /** A whole transaction, with or without a savepoint, and its end. */
  private transaction(): Packet[] {
    const { random } = this;
    const command = (text: string) => commandText(text, this.token());
    const statements = this.several(true);
    if (random.chance(0.4)) {
      statements.push(command('SAVEPOINT a'), ...this.several(true));
      if (random.chance(0.7)) statements.push(command('ROLLBACK TO SAVEPOINT a'));
    }
    if (this.talks && random.chance(0.5)) {
      const name = random.pick(CHANNELS);
      statements.push(command(`LISTEN ${name}`), notifyText(this.token(), name));
    }
    const end = random.chance(0.6) ? 'COMMIT' : 'ROLLBACK';
    return [command('BEGIN'), ...statements, command(end)].map(Packets.query);
  }

  private statement(inBlock: boolean): string {
    return this.random.weighted<Make>([
      [8, () => this.setting(inBlock)],
      [4, () => this.table()],
      [4, () => this.lock()],
      [4, () => this.cursor(inBlock)],
      [2, () => this.prepared()],
      [this.talks ? 30 : 2, () => this.channel()],
    ])();
  }

  private setting(inBlock: boolean): string {
    const { random } = this;
    const name = random.pick(NAMES);
    const local = inBlock && random.chance(0.3);
    const isReset = random.chance(0.15) && !this.wishes.has(name.toLowerCase());
    const value = isReset ? null : this.value(SETTINGS[name]!);
    const isCustom = State.isCustom(name);
    const command = random.weighted<string>([
      [4, State.setCommand({ name, value, local })],
      [2, State.setConfigCommand({ name, value, local })],
      [isReset ? 2 : 0, `RESET ${name}`],
      // In one block with an UNLISTEN it is more than the gateway can see.
      [this.wishes.size === 0 && !inBlock ? 0.3 : 0, 'RESET ALL'],
      [isCustom ? 0 : 4, `SHOW ${name}`],
      [isCustom ? 5 : 2, State.currentSettingCommand(name)],
    ]);
    return commandText(command, this.token());
  }

  private value({ common, own }: Choice): string {
    return this.random.chance(0.3) ? this.random.pick(common) : own(this.id, this.random.int(1, 3));
  }

  private table(): string {
    const name = this.random.pick(TABLES);
    const token = this.token();
    return this.random.weighted([
      [3, State.createTemporaryText(name, this.random.chance(0.2), token)],
      [5, commandText(`SELECT token FROM ${name}`, token)],
      [2, commandText(`DROP TABLE ${name}`, token)],
      [0.5, commandText('DISCARD TEMP', token)],
    ]);
  }

  private lock(): string {
    const { random } = this;
    const own = ownKey(this.id, random.int(0, 1));
    const key = random.pick([own, own, CONTENDED_KEY, WANTED_KEY]);
    const command = random.weighted([
      [2, `SELECT pg_advisory_lock(${key === WANTED_KEY ? own : key})`],
      [2, `SELECT pg_try_advisory_lock(${key})`],
      [4, `SELECT pg_advisory_unlock(${key})`],
      [0.5, 'SELECT pg_advisory_unlock_all()'],
    ]);
    return commandText(command, this.token());
  }

  private cursor(inBlock: boolean): string {
    const { random } = this;
    const name = random.pick(CURSORS);
    const token = this.token();
    const select = { token, variant: random.int(10, 99), rows: random.int(0, 5), size: 2, sleepMs: 0 };
    return random.weighted([
      [3, State.declareText(name, !inBlock || random.chance(0.7), selectText(select))],
      [5, commandText(`FETCH ${random.int(1, 3)} FROM ${name}`, token)],
      [2, commandText(`CLOSE ${name}`, token)],
    ]);
  }

  private prepared(): string {
    const name = this.random.pick(STATEMENTS);
    const token = this.token();
    return this.random.weighted([
      [3, State.prepareText(name, token)],
      [5, commandText(`EXECUTE ${name}`, token)],
      [1, commandText(`DEALLOCATE ${name}`, token)],
    ]);
  }

  private channel(): string {
    const name = this.random.pick(CHANNELS);
    if (this.random.chance(0.5)) return notifyText(this.token(), name);
    const command = this.random.weighted([
      [2, `LISTEN ${name}`],
      [2, `UNLISTEN ${name}`],
      [1, 'UNLISTEN *'],
    ]);
    return commandText(command, this.token());
  }

  /** Of what it may have prepared by the protocol. */
  private letGo(): string {
    return commandText(`DEALLOCATE ${this.random.pick(NAMES_BY_PROTOCOL)}`, this.token());
  }

  /** Outside of a transaction: within one no LISTEN of the gateway's would be seen. */
  private countChannels(): string {
    return commandText('SELECT count(*) FROM pg_listening_channels()', this.token());
  }

  private forget(): string {
    const command = this.wishes.size > 0 || this.random.chance(0.3) ? 'DEALLOCATE ALL' : 'DISCARD ALL';
    return commandText(command, this.token());
  }
}

/** Without a RESET ALL in one batch with an UNLISTEN, which is more than the gateway can see. */
function seen(texts: readonly string[]): readonly string[] {
  const unlistens = texts.some((text) => text.startsWith('UNLISTEN '));
  return unlistens ? texts.filter((text) => !text.startsWith('RESET ALL')) : texts;
}

/** Parse, Bind and Execute. */
function run(text: string): Packet[] {
  return [Packets.parse('', text), Packets.bind('', '', []), Packets.execute('', 0)];
}
