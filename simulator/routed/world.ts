/**
 * One run of a world of nodes: a whole gateway, with its routing and what it hears of a cluster's store, between model clients
 * and model servers that replicate, fall behind, end, and are promoted.
 */
import type { AuthorityAnswer, AuthorityQuestion } from '../../src/core/authority.js';
import { Gateway } from '../../src/core/gateway.js';
import type { ServerAddress } from '../../src/core/io.js';
import { Pipelines } from '../../src/core/pool/pipelines.js';
import type { Cluster } from '../../src/core/route/cluster.js';
import type { ShapeFacts } from '../../src/core/route/route-questions.js';
import { StrongReads } from '../../src/core/route/strong-reads.js';
import type { Fault } from '../fault.js';
import { Random } from '../random.js';
import { replaceMethod, restoreAll } from '../replace-method.js';
import { Schedule } from '../schedule.js';
import { type Dialled, SimIo } from '../sim-io.js';
import { parseScript, type Statement } from '../sql.js';
import { ListClient } from './list-client.js';
import { ListLedger } from './list-ledger.js';
import { ModelCluster } from './model-cluster.js';
import { NodeSession } from './node-session.js';
import { makePlan, type RoutedPlan } from './plan.js';
import type { RoutedGround } from './routed-ground.js';
import { StoreNews } from './store-news.js';
import { Troubles } from './troubles.js';

export interface RunOptions {
  /** Gets a line for each message and event. */
  readonly trace?: (line: string) => void;
  /** A deliberate defect. */
  readonly fault?: Fault;
  /** Changes what the seed has decided. */
  readonly change?: (plan: RoutedPlan) => RoutedPlan;
}

export interface RunResult {
  readonly seed: number;
  /** What must not have happened; null: all is well. */
  readonly violation: string | null;
  readonly events: number;
  readonly virtualMs: number;
  readonly counts: ListLedger['counts'] & {
    readonly readsOnStandbys: number;
    readonly readsEarly: number;
    readonly readsTooEarly: number;
    readonly readsPipelined: number;
    readonly pipelines: number;
    readonly readsRepeated: number;
  };
}

const EVENTS_MAX = 400_000;
/** Longer than anything takes: a failover_timeout, and all that befalls the nodes. ms. */
const STUCK_MS = 120_000;
const SETTLING_MS = 30_000;
const ARRIVING_MS = 2000;
const ADVANCE_MS_MAX = 1000;
const ANSWER_MS_MAX = 20;
const CATALOGUE_VERSION = 1;

/** Runs one seed to its end. */
export function runSeed(seed: number, options: RunOptions = {}): RunResult {
  const undo = options.fault?.install?.();
  const world = new RoutedWorld(seed, options);
  const calmDown = restoreAll(
    [world.isHasty ? beHasty() : [], world.areQuick ? expectQuickReads() : []].flat(),
  );
  try {
    world.run();
    return world.result;
  } finally {
    calmDown();
    undo?.();
  }
}

/** Sends strong reads early, whatever the gateway expects of that. */
function beHasty(): () => void {
  return replaceMethod(StrongReads.prototype, 'early', (reads) =>
    reads['cluster'].chooseAt(reads['lastNeeded']),
  );
}

/** Reads share pipelines, however long they take. */
function expectQuickReads(): () => void {
  return replaceMethod(Pipelines.prototype, 'expectedOf', () => 0);
}

class RoutedWorld {
  private readonly schedule = new Schedule();
  private readonly random: Random;
  private readonly plan: RoutedPlan;
  private readonly ledger: ListLedger;
  private readonly io: SimIo;
  private readonly cluster: ModelCluster;
  private readonly gateway: Gateway;
  private readonly store: StoreNews | null;
  private readonly troubles: Troubles;
  private readonly clients: ListClient[] = [];
  private readonly sessions = new Set<NodeSession>();
  private readonly seed: number;
  private events = 0;
  private wakeAt = 0;
  private idleTurns = 0;

  constructor(seed: number, { trace, fault, change }: RunOptions) {
    const { schedule } = this;
    this.seed = seed;
    this.random = new Random(seed);
    const plan = makePlan(seed, this.random.fork());
    this.plan = change?.(plan) ?? plan;
    this.ledger = new ListLedger(
      trace === undefined ? null : (line) => trace(`${schedule.now.toFixed(2).padStart(10)} ${line}`),
    );
    this.io = this.newIo();
    this.cluster = new ModelCluster({
      ...{ schedule, random: this.random.fork(), plan: this.plan.servers },
      fail: (what) => this.ledger.fail(what),
      trace: (line) => this.ledger.trace(line),
    });
    this.ledger.cluster = this.cluster;
    const io = fault?.io?.(this.io, this.random.fork()) ?? this.io;
    this.gateway = new Gateway(io, fault?.settings?.(this.plan.settings) ?? this.plan.settings);
    this.io.events = fault?.events?.(this.gateway, this.random.fork()) ?? this.gateway;
    this.store = this.newStore();
    this.troubles = new Troubles(this.ground, this.store);
  }

  get isHasty(): boolean {
    return this.plan.isHasty;
  }

  get areQuick(): boolean {
    return this.plan.areQuick;
  }

  private newIo(): SimIo {
    const { schedule, ledger, plan } = this;
    return new SimIo(
      {
        schedule,
        random: this.random.fork(),
        weather: plan.weather,
        violation: (what) => ledger.fail(what),
        dial: (address) => this.dial(address),
        askAuthority: (question) => ({
          delayMs: this.random.fraction() * ANSWER_MS_MAX,
          answer: this.answer(question),
        }),
        deriveKey: () => ({ delayMs: 0, key: null }),
        reported: ({ level, message }) => {
          if (level === 'error' && message.startsWith('internal error')) ledger.fail(message);
        },
        note: () => {},
        trace: (line) => ledger.trace(line),
      },
      plan.highWaterBytes,
    );
  }

  private newStore(): StoreNews | null {
    const { schedule, random, ledger, cluster, plan } = this;
    if (plan.store === null) return null;
    const first = { leader: cluster.leader, nodes: plan.servers.count };
    return new StoreNews({ schedule, random: random.fork() }, plan.store, ledger, first, (news, ageMs) =>
      this.gateway.clusterHeard(news, ageMs),
    );
  }

  private get ground(): RoutedGround {
    const { schedule, ledger, plan, random, io, cluster } = this;
    return {
      ...{ schedule, ledger, plan, random, io, cluster },
      primaryByGateway: () => this.routed?.primary?.settings.name ?? null,
      isHeldByGateway: () => this.routed?.isHeld !== false,
    };
  }

  /** What the gateway knows of the nodes. */
  private get routed(): Cluster | undefined {
    return this.gateway.clusters.inUse[0]?.[1];
  }

  // --- What the gateway asks ----------------------------------------------------------------------------------

  private dial(address: ServerAddress): Dialled {
    const name = 'host' in address ? address.host : '';
    const node = this.cluster.nodes.find((one) => one.name === name);
    const delayMs = this.random.fraction() * this.plan.weather.latencyMsMax;
    if (node === undefined) {
      this.ledger.fail(`the gateway connects to ${JSON.stringify(address)}`);
      return { kind: 'silence' };
    }
    if (node.isFrozen) return { kind: 'silence' };
    if (!node.isRunning) return { kind: 'refuse', delayMs, error: 'connection refused' };
    const peer: Extract<Dialled, { kind: 'accept' }>['peer'] = (connection) => {
      const session = new NodeSession(this.ground, node, connection, this.sessions.size + 1);
      this.sessions.add(session);
      return session;
    };
    return { kind: 'accept', delayMs, peer };
  }

  private answer(question: AuthorityQuestion): AuthorityAnswer {
    if (question.kind === 'catalogue') return { kind: 'catalogue', version: CATALOGUE_VERSION };
    if (question.kind !== 'statement') return { kind: 'unknownUser' };
    const isUnknown = this.random.chance(this.plan.unanswered);
    const facts = isUnknown ? null : factsOf(Buffer.from(question.text).toString());
    return { kind: 'statement', version: CATALOGUE_VERSION, facts };
  }

  // --- The run ------------------------------------------------------------------------------------------------

  get result(): RunResult {
    const { ledger, events, schedule, seed } = this;
    const { readsRepeated, readsEarly, readsTooEarly, readsPipelined, pipelines } =
      this.gateway.context.counters;
    const readsOnStandbys = this.routed?.counters.readsOnStandbys ?? 0;
    return {
      ...{ seed, violation: ledger.violation, events, virtualMs: schedule.now },
      counts: {
        ...ledger.counts,
        ...{ readsRepeated, readsEarly, readsTooEarly, readsPipelined, pipelines, readsOnStandbys },
      },
    };
  }

  run(): void {
    this.ledger.trace(() => `plan: ${JSON.stringify(this.plan, printable)}`);
    for (let id = 1; id <= this.plan.clients.count; id++) this.sendClient(id);
    this.troubles.begin();
    const isDone = (): boolean => this.troubles.isOver && this.clients.every(({ phase }) => phase === 'gone');
    this.turnUntil(isDone, 'clients');
    this.store?.calm();
    const settledAt = this.schedule.now + SETTLING_MS;
    this.turnUntil(() => this.schedule.now >= settledAt, 'rest');
    if (this.ledger.violation !== null) return;
    this.checkRest();
    this.ledger.checkEnd();
    this.store?.end();
    this.ledger.shuttingDown = true;
    this.shutDown();
    this.turnUntil(() => this.gateway.idle && this.io.open.length === 0, 'shutdown');
  }

  private sendClient(id: number): void {
    const { random, schedule, plan } = this;
    let turnsLeft = random.int(1, plan.clients.turnsMax);
    const client = new ListClient(this.ground, id, () => {
      const pause = random.chance(0.5) ? 0 : random.fraction() * plan.clients.thinkMsMax;
      schedule.after(pause, () => {
        if (client.phase !== 'ready') return;
        turnsLeft -= 1;
        if (turnsLeft < 0 && client.isBetween) client.leave('terminate');
        else client.ask();
      });
    });
    this.clients.push(client);
    schedule.after(random.fraction() * ARRIVING_MS, () => client.connect());
    if (!random.chance(plan.clients.departures)) return;
    const how = random.pick(['terminate', 'close', 'reset'] as const);
    schedule.after(ARRIVING_MS + random.fraction() * ARRIVING_MS, () => client.leave(how));
  }

  private turnUntil(done: () => boolean, what: string): void {
    const startedAt = this.schedule.now;
    while (this.ledger.violation === null && !done()) {
      this.turn();
      if (this.events > EVENTS_MAX) this.ledger.fail('the run does not end');
      if (this.schedule.now > startedAt + STUCK_MS) this.stuck(what);
    }
  }

  private stuck(what: string): void {
    const waiting = this.clients.filter(({ phase }) => phase !== 'gone').map((client) => client.describe());
    const open = this.io.open.map(({ state, peer }) => `${peer.label} ${state}`);
    this.ledger.fail(`${what}: it does not end; ${waiting.join('; ')}; open: ${open.join()}`);
  }

  /** One turn of a driver's loop: everything that is due now, then housekeeping. */
  private turn(): void {
    const { schedule } = this;
    const next = schedule.nextAt;
    if (next === null || next > this.wakeAt) schedule.now = Math.max(schedule.now, this.wakeAt);
    else {
      schedule.runNext();
      this.events += 1;
      while (this.ledger.violation === null && schedule.nextAt === schedule.now) {
        schedule.runNext();
        this.events += 1;
      }
    }
    if (this.ledger.violation === null) this.advance();
  }

  private advance(): void {
    try {
      const delay = this.gateway.advance();
      if (!(delay >= 0 && delay < ADVANCE_MS_MAX + 1)) this.ledger.fail(`advance returned ${delay}`);
      this.idleTurns = delay === 0 ? this.idleTurns + 1 : 0;
      if (this.idleTurns > 1000) this.ledger.fail('advance keeps the driver spinning');
      this.wakeAt = this.schedule.now + delay;
    } catch (error) {
      this.ledger.fail(`advance threw: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  private shutDown(): void {
    try {
      this.gateway.shutdown();
    } catch (error) {
      this.ledger.fail(`shutdown threw: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  /** Everybody has gone: what is left are server connections at rest, and those that watch. */
  private checkRest(): void {
    const problems: string[] = [];
    const { clients, pools } = this.gateway.snapshot();
    if (clients > 0) problems.push(`${clients} clients`);
    for (const pool of pools) {
      const busy = pool.clActive + pool.clWaiting + pool.svActive + pool.svLogin;
      if (busy > 0) problems.push(`pool ${pool.database}/${pool.user} is busy: ${JSON.stringify(pool)}`);
    }
    for (const session of this.sessions) {
      if (session.isOfPool && !session.isResting) problems.push(`${session.label} is not at rest`);
    }
    const primary = this.routed?.primary?.settings.name;
    if (this.routed !== undefined && primary !== this.cluster.leader.name) {
      problems.push(`the primary is ${primary} to the gateway, and ${this.cluster.leader.name} in truth`);
    }
    if (problems.length > 0) this.ledger.fail(`after the last client: ${problems.join('; ')}`);
  }
}

/** What the main thread would say of a statement, with less to go by: a function that writes looks as if it only read. */
function factsOf(text: string): ShapeFacts {
  const statements = parseScript(text);
  const [statement] = statements;
  const isRead = statements.length === 1 && statement !== undefined && isReading(statement);
  const begin = statements.length === 1 && statement?.kind === 'begin' ? statement : null;
  return {
    kind: isRead ? 'read' : begin === null ? 'other' : 'begin',
    mayRunOnStandby: isRead,
    reason: isRead ? 'it only reads' : 'it may write',
    transaction: begin && { readOnly: begin.isReadOnly ? true : null, isolation: null, deferrable: null },
    changesCatalogue: false,
    text,
  };
}

function isReading(statement: Statement): boolean {
  if (statement.kind === 'append') return statement.isHidden;
  return statement.kind === 'read-list' || statement.kind === 'current-setting';
}

function printable(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}
