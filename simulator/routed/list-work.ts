/** What clients of a world of nodes ask: reads and writes of lists, in all the forms that the protocol has. */
import type { Consistency } from '../../src/core/settings.js';
import { appendCallText, appendText, readListText } from '../list-sql.js';
import type { Packet } from '../packets.js';
import * as Packets from '../packets.js';
import type { Random } from '../random.js';
import { PARAMETER } from '../select-sql.js';
import { commandText } from '../sql.js';
import { currentSettingCommand } from '../state-sql.js';
import type { Asked, ListLedger } from './list-ledger.js';
import type { RoutedPlan } from './plan.js';

/** What a client sends without waiting for an answer. */
export interface Turn {
  readonly packets: Packet[];
  /** How many ReadyForQuery it is answered with. */
  readonly units: number;
  readonly tokens: readonly string[];
  /** Nobody can tell from its text what it leaves in its session. */
  readonly isOpaque: boolean;
}

type Unit = readonly Packet[];

const HINTS: readonly Consistency[] = ['strong', 'session', 'bounded', 'eventual', 'primary'];
const SETTINGS = ['work_mem', 'application_name'] as const;
const VALUES = ['one', 'two', 'three'] as const;

export class ListWork {
  private readonly id: number;
  private readonly plan: RoutedPlan;
  private readonly random: Random;
  private readonly ledger: ListLedger;
  private readonly now: () => number;
  private block: 'none' | 'reads' | 'writes' = 'none';
  private readonly prepared = new Set<string>();
  /** All that it has ever prepared: whether it is there nobody knows after a loss. */
  private readonly names = new Set<string>();
  private lastToken = 0;
  private tokens: string[] = [];
  private isOpaque = false;
  /** The turn before was so, or ended a transaction in which one may have been. */
  private wasOpaque = false;
  private hadBlock = false;

  constructor(id: number, plan: RoutedPlan, random: Random, ledger: ListLedger, now: () => number) {
    this.id = id;
    this.plan = plan;
    this.random = random;
    this.ledger = ledger;
    this.now = now;
  }

  get inBlock(): boolean {
    return this.block !== 'none';
  }

  turn(): Turn {
    this.tokens = [];
    this.wasOpaque = this.isOpaque || this.hadBlock;
    this.hadBlock = this.inBlock;
    this.isOpaque = false;
    const units = this.inBlock ? this.inTransaction() : this.outside();
    return this.made(units);
  }

  private made(units: readonly Unit[]): Turn {
    const { tokens, isOpaque } = this;
    return { packets: units.flat(), units: units.length, tokens, isOpaque };
  }

  /** Back to a session as it began, wherever that stands. @param status of its transaction */
  recovery(isInBlock: boolean): Turn {
    this.tokens = [];
    this.isOpaque = true;
    const query = (text: string): Unit => [Packets.query(commandText(text, this.token()))];
    const units: Unit[] = isInBlock ? [query('ROLLBACK')] : [];
    units.push(query('RESET ALL'));
    const names = [...this.names].map((name) => Packets.close('S', name));
    if (names.length > 0) units.push([...names, Packets.sync()]);
    this.block = 'none';
    this.prepared.clear();
    return this.made(units);
  }

  // --- Turns --------------------------------------------------------------------------------------------------

  private outside(): Unit[] {
    const { random } = this;
    const { writes } = this.plan.clients;
    const make = random.weighted<() => Unit[]>([
      [10 * (1 - writes), () => [this.read()]],
      [10 * writes, () => [this.write()]],
      [2, () => [this.begin('reads')]],
      [2, () => [this.begin('writes')]],
      [1, () => this.pipeline()],
      [1, () => [this.script()]],
      [0.5, () => [this.batch()]],
      [0.5, () => this.wholeTransaction()],
      [0.5, () => [this.set()]],
      [1, () => [this.show()]],
    ]);
    return make();
  }

  private inTransaction(): Unit[] {
    const { random, block } = this;
    const mayWrite = block === 'writes';
    const make = random.weighted<() => Unit>([
      [3, () => this.read()],
      [mayWrite ? 3 : 0, () => this.write()],
      [0.5, () => this.show()],
      [2, () => this.end('COMMIT')],
      [0.5, () => this.end('ROLLBACK')],
    ]);
    return [make()];
  }

  private begin(block: 'reads' | 'writes'): Unit {
    this.block = block;
    return [Packets.query(commandText(block === 'reads' ? 'BEGIN READ ONLY' : 'BEGIN', this.token()))];
  }

  private end(how: 'COMMIT' | 'ROLLBACK'): Unit {
    this.block = 'none';
    const text = commandText(how, this.token());
    if (this.random.chance(0.5)) return [Packets.query(text)];
    return [Packets.parse('', text), Packets.bind('', '', []), Packets.execute('', 0), Packets.sync()];
  }

  private pipeline(): Unit[] {
    const { random } = this;
    return Array.from({ length: random.int(2, 4) }, () => (random.chance(0.7) ? this.read() : this.write()));
  }

  private wholeTransaction(): Unit[] {
    const isReading = this.random.chance(0.5);
    const units = [this.begin(isReading ? 'reads' : 'writes'), this.read()];
    if (!isReading) units.push(this.write());
    units.push(this.read(), this.end('COMMIT'));
    return units;
  }

  private script(): Unit {
    const list = this.list();
    const write = appendText(list, this.ask('write', list));
    const read = readListText(list, this.ask('read', list));
    return [Packets.query(this.random.pick([`${write}; ${read}`, `BEGIN; ${write}; ${read}; COMMIT`]))];
  }

  /** Several statements up to one Sync. */
  private batch(): Unit {
    const list = this.list();
    const packets = [...this.run('', readListText(list, PARAMETER), this.ask('read', list))];
    if (this.random.chance(0.5))
      packets.push(...this.run('', appendText(list, PARAMETER), this.ask('write', list)));
    packets.push(...this.run('', readListText(list, PARAMETER), this.ask('read', list)));
    return [...packets, Packets.sync()];
  }

  private set(): Unit {
    const { random } = this;
    this.isOpaque = true;
    const text = `SET ${random.pick(SETTINGS)} = '${random.pick(VALUES)}'`;
    return [Packets.query(commandText(text, this.token()))];
  }

  private show(): Unit {
    const token = this.token();
    return [Packets.query(commandText(currentSettingCommand(this.random.pick(SETTINGS)), token))];
  }

  // --- Statements ---------------------------------------------------------------------------------------------

  private read(): Unit {
    const { random } = this;
    const list = this.list();
    const form = random.int(1, 3);
    if (form === 3) return this.named(`r${list}`, readListText(list, PARAMETER), this.ask('read', list));
    const hint = random.chance(this.plan.clients.hints) ? random.pick(HINTS) : null;
    const comment = hint === null ? '' : `/* sluice: ${hint} */ `;
    const token = this.ask('read', list, hint ?? undefined);
    if (form === 1) return [Packets.query(comment + readListText(list, token))];
    return [...this.run('', comment + readListText(list, PARAMETER), token), Packets.sync()];
  }

  private write(): Unit {
    const { random } = this;
    const list = this.list();
    // In a transaction that began on a node which is promoted a moment before that is known, one would be taken for a read.
    const isHidden = !this.inBlock && random.chance(0.2);
    this.isOpaque ||= isHidden;
    const token = this.ask(isHidden ? 'hidden write' : 'write', list);
    const text = isHidden ? appendCallText : appendText;
    const form = random.int(1, 3);
    if (form === 1) return [Packets.query(text(list, token))];
    if (form === 2) return [...this.run('', text(list, PARAMETER), token), Packets.sync()];
    return this.named(`${isHidden ? 'h' : 'w'}${list}`, text(list, PARAMETER), token);
  }

  private named(name: string, text: string, token: string): Unit {
    const { random, prepared } = this;
    const packets: Packet[] = [];
    if (prepared.has(name) && random.chance(0.1)) {
      packets.push(Packets.close('S', name));
      prepared.delete(name);
    }
    if (!prepared.has(name)) packets.push(Packets.parse(name, text));
    prepared.add(name);
    this.names.add(name);
    if (random.chance(0.2)) packets.push(Packets.describe('S', name));
    return [...packets, Packets.bind('', name, [token]), Packets.execute('', 0), Packets.sync()];
  }

  private run(name: string, text: string, token: string): Unit {
    const packets = [Packets.parse(name, text), Packets.bind('', name, [token])];
    if (this.random.chance(0.3)) packets.push(Packets.describe('P', ''));
    return [...packets, Packets.execute('', 0)];
  }

  private list(): number {
    return this.random.int(1, this.plan.clients.lists);
  }

  private ask(what: Asked['what'], list: number, consistency = this.plan.settings.consistency): string {
    const token = this.token();
    const mayHaveLink = this.inBlock || this.wasOpaque;
    this.ledger.ask({ token, list, what, consistency, at: this.now(), mayHaveLink });
    return token;
  }

  private token(): string {
    this.lastToken += 1;
    const token = `c${this.id}:${this.lastToken}`;
    this.tokens.push(token);
    return token;
  }
}
