/** Whether what a client sends as one may run on a standby, by what is known of its statements and by what the session is set to. */
import { RoutingHint, routingHint } from '../../sql/routing-hint.js';
import { SessionEffect } from '../../sql/session-effect.js';
import { latin1, zeroByte } from '../../wire/bytes.js';
import { buildQuery } from '../../wire/client-messages.js';
import { HEADER_BYTES } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import type { ParameterSet } from '../parameters.js';
import { NO_ROLE, ROLE, SESSION_AUTHORIZATION } from '../session-state.js';
import type { Consistency } from '../settings.js';
import type { KnownShape, Statement } from '../statements.js';
import { readBatch, TOO_LONG, UNIT_BYTES_MAX, type UnitReader } from './routed-unit.js';
import { textRules } from './text-rules.js';

/** What is known of the statements of a database. */
export interface KnownShapes {
  /** Null: nothing yet. */
  look(
    bytes: Uint8Array,
    start: number,
    end: number,
    standardStrings: boolean,
    path: string | null,
    user: string,
  ): KnownShape | null;
}

/** The client, as this sees it. */
export interface JudgedClient {
  readonly parameters: ParameterSet;
  readonly settings: ParameterSet;
  readonly tracksState: boolean;
  /** Non-null: it listens, and its notifications keep to the order of its answers from the primary. */
  readonly listener: object | null;
  /** What the text `bytes[start, end)` may leave in the session (`SessionEffect`). */
  effectsOf(bytes: Uint8Array, start: number, end: number): number;
  readonly statements: {
    /** False: names go to servers as they are, and each server connection has those that were prepared on it. */
    readonly renames: boolean;
    find(name: string): Statement | undefined;
    /** A Parse message's body behind the name; null: there is none. */
    readonly unnamedDefinition: Uint8Array | null;
  } | null;
}

/** What holds for all sessions of one pool. */
export interface JudgedPool {
  readonly shapes: KnownShapes;
  /** Without a word from the session itself. */
  readonly consistency: Consistency;
  /** `balance_leading_reads`, likewise. */
  readonly balancesLeadingReads: boolean;
  /** The search_path that its server connections begin with; null: unknown. */
  readonly searchPath: string | null;
  /** As whom its server connections log in. */
  readonly user: string;
}

const NOT_YET_KNOWN = 'what it does is not known yet';
const NOT_WHOLE = 'not all of it was in sight, or it does not consist of reads alone';
const LONG = `it is longer than ${UNIT_BYTES_MAX} bytes`;
const UNREADABLE = 'texts in this client_encoding are not read';
const BY_COMMENT = 'a comment asks for the primary';
const BY_COMMENT_STANDBY = 'a comment asks for a standby';
const PRIMARY_ALONE = 'this session reads from the primary';

/** A transaction that begins on a standby. */
export interface TransactionStart {
  /** The Query message by which the primary is told of it, if it goes on there. */
  readonly query: Uint8Array;
  /** Its first read decides what all of its reads see: it can't go on elsewhere from then on. */
  readonly keepsSnapshot: boolean;
  /** Why it may begin there, in words. */
  readonly reason: string;
}

const READ_ONLY: TransactionStart = {
  query: buildQuery('BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY'),
  keepsSnapshot: false,
  reason: 'it only reads',
};
const LEADING_READS: TransactionStart = {
  query: buildQuery('BEGIN ISOLATION LEVEL READ COMMITTED'),
  keepsSnapshot: false,
  reason: 'it may begin with reads (balance_leading_reads)',
};
const SNAPSHOT: TransactionStart = {
  query: buildQuery('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY'),
  keepsSnapshot: true,
  reason: 'it only reads, and a standby is asked for',
};

export class UnitJudge implements UnitReader {
  /** Of the text that was read last; null: nothing is known of it. */
  shape: KnownShape | null = null;
  /** Why the unit goes where it goes, in words. */
  reason = '';
  /** The transaction that it begins; null: it begins none. */
  begins: TransactionStart | null = null;
  /** A statement of the unit that was read last reads. */
  reads = false;
  /** The client wants to be told where its statements go. */
  explains = false;
  /** What its comments ask for (`RoutingHint`). */
  private hints = 0;
  private inTransaction = false;
  /** A part of it may run there by its client's word alone. */
  private isTrusted = false;
  private readonly client: JudgedClient;
  private readonly pool: JudgedPool;
  /** The settings that what follows was found in. */
  private judged: ParameterSet | null = null;
  private pools: Consistency | null = null;
  private poolBalances = false;
  private sessions: Consistency = 'primary';
  private path: string | null = null;
  /** As whom its statements run. */
  private user = '';
  /** Of a transaction that doesn't say otherwise. */
  private isolation: string = READ_COMMITTED;
  /** The session asks for a standby, as a comment would. */
  private vouches = false;
  /** Reads in front of a transaction's first write may run on a standby. */
  private balancesLeadingReads = false;

  constructor(client: JudgedClient, pool: JudgedPool) {
    this.client = client;
    this.pool = pool;
  }

  /** What its session has set allows reads on standbys. */
  get mayRead(): boolean {
    const { settings } = this.client;
    const { consistency, balancesLeadingReads } = this.pool;
    const isJudged = consistency === this.pools && balancesLeadingReads === this.poolBalances;
    if (settings !== this.judged || !isJudged) this.readSettings();
    if (this.sessions !== 'primary' && this.client.listener === null) return true;
    this.shape = null;
    this.reason = PRIMARY_ALONE;
    return false;
  }

  /**
   * Reads the unit at `position`, a simple Query of `total` bytes or a batch. Returns where it ends if it may run on a
   * standby; else -1, or {@link TOO_LONG}.
   * @param inTransaction it belongs to a transaction that runs on one
   */
  read(
    type: number,
    total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
    inTransaction: boolean,
  ): number {
    this.hints = RoutingHint.NONE;
    this.shape = null;
    this.reason = NOT_WHOLE;
    this.inTransaction = inTransaction;
    this.begins = null;
    this.reads = false;
    this.isTrusted = false;
    if (type !== Frontend.Query) {
      const unitEnd = this.client.statements?.renames === true ? readBatch(bytes, position, end, this) : -1;
      return unitEnd === TOO_LONG ? this.tooLong() : unitEnd;
    }
    if (total > UNIT_BYTES_MAX) return this.tooLong();
    const unitEnd = position + total;
    if (total <= HEADER_BYTES || unitEnd > end) return -1;
    return this.text(bytes, position + HEADER_BYTES, unitEnd - 1) ? unitEnd : -1;
  }

  private tooLong(): number {
    this.shape = null;
    this.reason = LONG;
    return TOO_LONG;
  }

  /** How much the unit that was read last must see. */
  get consistency(): Consistency {
    const { hints } = this;
    if ((hints & RoutingHint.STRONG) !== 0) return 'strong';
    if ((hints & RoutingHint.SESSION) !== 0) return 'session';
    if ((hints & RoutingHint.BOUNDED) !== 0) return 'bounded';
    if ((hints & RoutingHint.EVENTUAL) !== 0) return 'eventual';
    return this.sessions;
  }

  /** It may see less than its client has seen, or done. */
  get mayLag(): boolean {
    const { consistency } = this;
    return consistency === 'bounded' || consistency === 'eventual';
  }

  get keepsPortals(): boolean {
    return !this.inTransaction && this.begins === null;
  }

  text(bytes: Uint8Array, start: number, end: number): boolean {
    const { isOpaque, standardStrings } = textRules(this.client.parameters);
    if (isOpaque) {
      this.reason = UNREADABLE;
      return false;
    }
    this.hints |= routingHint(bytes, start, end);
    const shape = this.pool.shapes.look(bytes, start, end, standardStrings, this.path, this.user);
    return this.admits(shape, bytes, start, end);
  }

  prepared(bytes: Uint8Array, start: number, end: number): boolean {
    const { statements } = this.client;
    if (statements === null) return false;
    if (start === end) {
      const definition = statements.unnamedDefinition;
      return definition !== null && this.text(definition, 0, textEnd(definition));
    }
    const statement = statements.find(latin1(bytes, start, end));
    return statement !== undefined && this.preparedText(statement);
  }

  /** What is known of a named statement is kept with it: it has one text, and one search_path. */
  private preparedText(statement: Statement): boolean {
    const { route, definition } = statement;
    if (route?.pool === this.pool && route.shape.isValid) {
      this.hints |= route.hints;
      return this.admits(route.shape, definition, 0, textEnd(definition));
    }
    const others = this.hints;
    this.hints = RoutingHint.NONE;
    const isAdmitted = this.text(definition, 0, textEnd(definition));
    const { shape, hints } = this;
    statement.route = shape === null ? null : { pool: this.pool, shape, hints };
    this.hints = others | hints;
    return isAdmitted;
  }

  private admits(shape: KnownShape | null, bytes: Uint8Array, start: number, end: number): boolean {
    this.shape = shape;
    this.reason = shape === null ? NOT_YET_KNOWN : shape.reason;
    if ((this.hints & RoutingHint.PRIMARY) !== 0) this.reason = BY_COMMENT;
    else if (shape?.kind === 'read' && shape.mayRunOnStandby) {
      this.reads = true;
      return true;
    } else if (shape?.kind === 'read' && this.isVouchedFor) {
      this.reason = BY_COMMENT_STANDBY;
      this.reads = true;
      this.isTrusted = true;
      return true;
    } else if (shape?.kind === 'begin' && !this.inTransaction) return this.admitsTransaction(shape);
    return this.inTransaction && endsTransaction(bytes, start, end);
  }

  /** Whether the text `bytes[start, end)`, which was read last and may run there, leaves nothing is kept with its shape. */
  lookForEffects(bytes: Uint8Array, start: number, end: number): void {
    const { shape } = this;
    // One that stands for many others says nothing of each.
    if (shape === null || shape.kind === 'other' || shape.leavesNothing !== null) return;
    shape.leavesNothing = this.client.effectsOf(bytes, start, end) === SessionEffect.NONE;
  }

  /** It is a read that leaves no trace when its answer is dropped: what somebody vouches for may have effects elsewhere. */
  get mayRunTwice(): boolean {
    return this.begins === null && !this.isTrusted;
  }

  /** Who asks for a standby vouches for what is not known there. */
  private get isVouchedFor(): boolean {
    return this.vouches || (this.hints & RoutingHint.STANDBY) !== 0;
  }

  /**
   * One whose statements see the newest state can go on elsewhere at any time; one with a snapshot can't, and begins on a
   * standby only for who asks for that. (No standby knows which snapshots are serializable.)
   */
  private admitsTransaction({ transaction }: KnownShape): boolean {
    const isolation = transaction?.isolation ?? this.isolation;
    const readOnly = transaction?.readOnly ?? null;
    if (READS_COMMITTED.has(isolation)) {
      if (readOnly === true) this.begins = READ_ONLY;
      else if (readOnly === null && this.balancesLeadingReads) this.begins = LEADING_READS;
    } else if (isolation === 'repeatable read' && readOnly === true && this.isVouchedFor)
      this.begins = SNAPSHOT;
    if (this.begins !== null && this.begins !== READ_ONLY) this.reason = this.begins.reason;
    return this.begins !== null;
  }

  /** What the session has set decides until it sets something else. */
  private readSettings(): void {
    const { settings, tracksState } = this.client;
    const { values } = settings;
    this.judged = settings;
    this.pools = this.pool.consistency;
    this.poolBalances = this.pool.balancesLeadingReads;
    const own = CONSISTENCIES.get(values.get(CONSISTENCY_SETTING)?.toLowerCase() ?? '');
    this.isolation = values.get('default_transaction_isolation') ?? READ_COMMITTED;
    const route = values.get(ROUTE_SETTING)?.toLowerCase();
    this.vouches = route === 'standby';
    const isPrimarys = !tracksState || route === 'primary' || this.isolation === 'serializable';
    this.sessions = isPrimarys ? 'primary' : (own ?? this.pools);
    this.path = values.get('search_path') ?? this.pool.searchPath;
    const role = values.get(ROLE) ?? NO_ROLE;
    this.user = role === NO_ROLE ? (values.get(SESSION_AUTHORIZATION) ?? this.pool.user) : role;
    const leading = values.get(LEADING_READS_SETTING);
    this.balancesLeadingReads =
      leading === undefined ? this.pool.balancesLeadingReads : TRUE_WORD.test(leading);
    this.explains = TRUE_WORD.test(values.get(EXPLAIN_SETTING) ?? '');
  }
}

function textEnd(definition: Uint8Array): number {
  return zeroByte(definition, 0, definition.length);
}

/** Whether the text does nothing but end its transaction. */
function endsTransaction(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start <= ENDING_BYTES_MAX && ENDS_TRANSACTION.test(latin1(bytes, start, end));
}

const ENDING_BYTES_MAX = 64;
const ENDS_TRANSACTION = /^\s*(commit|end|rollback|abort)(\s+(work|transaction))?\s*;?\s*$/i;
const READ_COMMITTED = 'read committed';
const READS_COMMITTED: ReadonlySet<string> = new Set([READ_COMMITTED, 'read uncommitted']);

/** Settings that the gateway reads; servers take any name with a dot in it. */
const CONSISTENCY_SETTING = 'sluice.consistency';
const ROUTE_SETTING = 'sluice.route';
const LEADING_READS_SETTING = 'sluice.balance_leading_reads';
const EXPLAIN_SETTING = 'sluice.explain_route';
const TRUE_WORD = /^(1|t|true|on|y|yes)$/i;

const CONSISTENCIES: ReadonlyMap<string, Consistency> = new Map(
  (['strong', 'session', 'bounded', 'eventual', 'primary'] as const).map((word) => [word, word]),
);
