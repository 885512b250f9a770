/** One run: everything that a seed decides, from the first client to an empty gateway. */
import type { AuthorityAnswer, AuthorityQuestion } from '../src/core/authority.js';
import { Gateway } from '../src/core/gateway.js';
import { ClientScript } from './client-script.js';
import type { Fault } from './fault.js';
import type { Ground } from './ground.js';
import { HostileClient } from './hostile-client.js';
import { Ledger } from './ledger.js';
import { SOCKET } from './local-socket.js';
import { ModelServer } from './model-server.js';
import { OperatorScript } from './operator-script.js';
import { saltedPassword } from './passwords.js';
import { type Forced, makePlan, type Plan, type Profile } from './plan.js';
import { installProbes } from './probes.js';
import { Random } from './random.js';
import { Schedule } from './schedule.js';
import { SimIo } from './sim-io.js';
import type { Situation } from './situations.js';

export interface RunOptions extends Forced {
  /** Gets a line for each message and event. */
  readonly trace?: (line: string) => void;
  /** A deliberate defect. */
  readonly fault?: Fault;
  /** Looks into the core too, to count the situations that the run comes into. */
  readonly probes?: boolean;
}

export interface RunResult {
  readonly seed: number;
  readonly profile: Profile;
  /** What must not have happened; null: all is well. */
  readonly violation: string | null;
  readonly events: number;
  readonly virtualMs: number;
  readonly answered: number;
  /** What the run came into, and how often. */
  readonly reached: ReadonlyMap<Situation, number>;
}

const EVENTS_MAX = 300_000;
/** Nothing happens and somebody waits: with healthy servers this long is too long, in ms. */
const STUCK_MS = 14_000;
/** The same where servers could not be reached: they are tried again, and waiting has its own limits. */
const STUCK_WITH_TROUBLE_MS = 150_000;
/** For what is left when everybody has gone: timeouts of connects and cancels. */
const SETTLING_MS = 30_000;
const CONNECTING_MS = 300;
/** Limits are looked at every so many turns of the loop. */
const TURNS_PER_CHECK = 8;
/** The gateway is called again at least this often, in ms. */
const ADVANCE_MS_MAX = 1000;

/** Runs one seed to its end. */
export function runSeed(seed: number, options: RunOptions = {}): RunResult {
  const world = new World(seed, options);
  try {
    world.run();
  } finally {
    world.close();
  }
  return world.result;
}

class World {
  private readonly schedule = new Schedule();
  private readonly ledger: Ledger;
  private readonly plan: Plan;
  private readonly random: Random;
  private readonly io: SimIo;
  private readonly server: ModelServer;
  private readonly gateway: Gateway;
  private readonly operator: OperatorScript;
  private readonly scripts: ClientScript[] = [];
  private readonly hostiles: HostileClient[] = [];
  private readonly restores: (() => void)[] = [];
  private events = 0;
  private zeroAdvances = 0;
  private turns = 0;

  constructor(seed: number, options: RunOptions) {
    const { schedule } = this;
    this.random = new Random(seed);
    this.plan = makePlan(seed, this.random.fork(), options);
    const write = options.trace;
    this.ledger = new Ledger(
      write === undefined ? null : (line) => write(`${schedule.now.toFixed(2).padStart(10)} ${line}`),
    );
    const { queryTimeoutMs, transactionTimeoutMs } = this.plan.settings;
    this.ledger.hasQueryTimeouts = queryTimeoutMs + transactionTimeoutMs > 0;
    this.io = new SimIo(
      {
        schedule,
        random: this.random.fork(),
        weather: this.plan.weather,
        violation: (what) => this.ledger.fail(what),
        dial: (address) => this.server.dial(address),
        askAuthority: (question) => ({
          delayMs: this.random.fraction() * 20,
          answer: this.answerOfAuthority(question),
        }),
        deriveKey: (request) => ({
          delayMs: this.random.fraction() * 20,
          key: saltedPassword(request.password, request.salt, request.iterations),
        }),
        reported: (report) => {
          if (report.level === 'error' && report.message.startsWith('internal error')) {
            this.ledger.fail(report.message);
          }
        },
        note: (situation) => this.ledger.note(situation),
        trace: (line) => this.ledger.trace(line),
      },
      this.plan.highWaterBytes,
    );
    this.server = new ModelServer(this.ground);
    const { fault } = options;
    if (options.probes === true) this.restores.push(installProbes((what) => this.ledger.note(what)));
    if (fault?.install !== undefined) this.restores.push(fault.install());
    const io = fault?.io?.(this.io, this.random.fork()) ?? this.io;
    this.gateway = new Gateway(io, fault?.settings?.(this.plan.settings) ?? this.plan.settings);
    this.operator = new OperatorScript(this.ground, this.gateway, this.server);
    this.io.events = fault?.events?.(this.gateway, this.random.fork()) ?? this.gateway;
  }

  private get ground(): Ground {
    const { schedule, ledger, plan, random, io } = this;
    return { schedule, ledger, plan, random, io };
  }

  /** What a database says of a user, or nothing when it can't be asked. */
  private answerOfAuthority(question: AuthorityQuestion): AuthorityAnswer {
    if (question.kind === 'localSocket') {
      return { kind: 'localSocket', socket: this.random.chance(0.8) ? SOCKET : null };
    }
    if (question.kind === 'host') {
      // Now and then an address comes or goes.
      const network = this.plan.settings.localSocket === 'off' ? '10.1.0' : '127.0.0';
      const addresses = [1, 2, 3].map((host) => `${network}.${host}`).slice(this.random.int(0, 2));
      return { kind: 'host', addresses };
    }
    if (question.kind === 'catalogue') return { kind: 'catalogue', version: 0 };
    if (question.kind === 'statement') return { kind: 'statement', version: 0, facts: null };
    const known = question.kind === 'user' ? this.plan.settings.users.get(question.userName) : undefined;
    return known === undefined
      ? { kind: 'unknownUser' }
      : { kind: 'user', name: known.name, secret: known.secret };
  }

  get result(): RunResult {
    const { seed, profile } = this.plan;
    return {
      seed,
      profile,
      violation: this.ledger.violation,
      events: this.events,
      virtualMs: this.schedule.now,
      answered: this.ledger.answered,
      reached: this.ledger.reached,
    };
  }

  close(): void {
    for (const restore of this.restores.reverse()) restore();
  }

  run(): void {
    this.ledger.trace(() => `plan: ${JSON.stringify(this.plan, printable)}`);
    this.sendClients();
    const { shutdownAt, reload } = this.plan;
    if (shutdownAt !== null) this.schedule.after(shutdownAt, () => this.drain());
    const { operator } = this.plan;
    if (operator !== null) {
      this.schedule.after(operator.at, () => this.operator.carryOut(operator));
    }
    if (reload !== null) this.schedule.after(reload.at, () => this.gateway.applySettings(reload.settings));
    this.turnUntil(() => this.everybodyGone, 'clients');
    if (this.broken) return;
    this.settle();
    if (this.broken) return;
    this.checkRest();
    this.operator.checkRest();
    this.shutDown();
    this.turnUntil(() => this.gateway.idle && this.io.open.length === 0, 'shutdown');
    if (this.broken) return;
    if (this.server.sessions.size > 0 && !this.schedulePending) {
      this.ledger.fail(`${this.server.sessions.size} server sessions are left after shutdown`);
    }
  }

  private get schedulePending(): boolean {
    return this.schedule.nextAt !== null;
  }

  private sendClients(): void {
    const { client } = this.plan;
    for (let id = 1; id <= client.count; id++) {
      const script = new ClientScript(this.ground, id);
      this.scripts.push(script);
      this.schedule.after(this.random.fraction() * CONNECTING_MS, () => script.start());
      if (this.random.chance(client.hostility)) {
        const hostile = new HostileClient(this.ground, id);
        this.hostiles.push(hostile);
        this.schedule.after(this.random.fraction() * CONNECTING_MS, () => hostile.connect());
      }
    }
  }

  /** Ends the gateway in the middle of the run. */
  private drain(): void {
    const { drainMs } = this.plan;
    if (drainMs === null) return this.shutDown();
    this.operator.drain(drainMs);
    this.schedule.after(drainMs + ADVANCE_MS_MAX, () => this.shutDown());
  }

  private shutDown(): void {
    if (this.ledger.shuttingDown) return;
    this.ledger.trace(() => 'shutdown');
    this.ledger.shuttingDown = true;
    this.gateway.shutdown();
  }

  // --- Time -----------------------------------------------------------------------------------------------------

  private get broken(): boolean {
    return this.ledger.violation !== null;
  }

  private get everybodyGone(): boolean {
    return (
      this.scripts.every((script) => script.client.phase === 'gone') &&
      this.hostiles.every((hostile) => hostile.gone)
    );
  }

  /** Lets things happen until `done`; fails when nothing more happens though it isn't. */
  private turnUntil(done: () => boolean, what: string): void {
    let lastEventAt = this.schedule.now;
    while (!this.broken) {
      if (this.turn()) {
        lastEventAt = this.schedule.now;
        continue;
      }
      if (done()) return;
      const patience = this.ledger.serverTrouble ? STUCK_WITH_TROUBLE_MS : STUCK_MS;
      if (this.schedule.nextAt === null && this.schedule.now - lastEventAt > patience) this.stuck(what);
    }
  }

  /** Trouble may come as late as now: a connection is dialled for a client that has gone. */
  private settle(): void {
    const startedAt = this.schedule.now;
    const patience = () => (this.ledger.serverTrouble ? STUCK_WITH_TROUBLE_MS : SETTLING_MS);
    while (!this.broken && this.schedule.now < startedAt + patience()) this.turn();
  }

  /** One turn of a driver's loop: everything that is due now, then housekeeping. False: only time has passed. */
  private turn(): boolean {
    const { schedule } = this;
    let happened = false;
    for (;;) {
      const next = schedule.nextAt;
      if (next === null || (happened && next > schedule.now)) break;
      if (!happened && next > this.wakeAt) break;
      happened = true;
      schedule.runNext();
      this.events += 1;
      if (this.broken) return true;
      if (this.events > EVENTS_MAX) {
        this.ledger.fail('the run does not end');
        return true;
      }
    }
    if (!happened) schedule.now = Math.max(schedule.now, this.wakeAt);
    this.advance();
    return happened;
  }

  private wakeAt = 0;

  private advance(): void {
    let delay: number;
    try {
      delay = this.gateway.advance();
    } catch (error) {
      this.ledger.fail(`advance threw: ${error instanceof Error ? error.stack : String(error)}`);
      return;
    }
    if (!(delay >= 0 && delay < ADVANCE_MS_MAX + 1)) this.ledger.fail(`advance returned ${delay}`);
    this.zeroAdvances = delay === 0 ? this.zeroAdvances + 1 : 0;
    if (this.zeroAdvances > 1000) this.ledger.fail('advance keeps the driver spinning');
    this.wakeAt = this.schedule.now + delay;
    this.turns += 1;
    if (this.turns % TURNS_PER_CHECK === 0) this.checkLimits();
  }

  // --- What must hold -------------------------------------------------------------------------------------------

  private checkLimits(): void {
    const { maxClientConn, queryWaitTimeoutMs } = this.plan.settings;
    const served = this.scripts.filter((script) => script.client.served).length;
    if (served > maxClientConn) this.ledger.fail(`${served} clients, max_client_conn being ${maxClientConn}`);
    if (queryWaitTimeoutMs === 0) return;
    for (const pool of this.gateway.snapshot().pools) {
      if (pool.maxWaitMs <= queryWaitTimeoutMs + ADVANCE_MS_MAX) continue;
      this.ledger.fail(
        `a client of pool ${pool.database} waits for ${pool.maxWaitMs} ms, query_wait_timeout being ${queryWaitTimeoutMs}`,
      );
    }
  }

  private stuck(what: string): void {
    if (what === 'shutdown') {
      const left = this.io.open.map(({ id, state, peer }) => `${id} ${state} ${peer.label}`).join(', ');
      this.ledger.fail(`shutdown does not end; idle is ${this.gateway.idle}; open: ${left}`);
      return;
    }
    const waiting = this.scripts
      .map(({ client }) => client)
      .filter((client) => client.phase !== 'gone')
      .map((client) => client.describe());
    this.ledger.fail(`stuck: nothing happens any more, but ${waiting.join('; ')}`);
  }

  /** Everybody has gone: what is left must be idle server connections, and the snapshot must know them. */
  private checkRest(): void {
    const snapshot = this.gateway.snapshot();
    const problems: string[] = [];
    const expectZero = (name: string, value: number) => {
      if (value !== 0) problems.push(`${name} is ${value}`);
    };
    expectZero('clients', snapshot.clients);
    expectZero('clientsLoggingIn', snapshot.clientsLoggingIn);
    let idle = 0;
    for (const pool of snapshot.pools) {
      const of = `of pool ${pool.database}/${pool.user}`;
      expectZero(`clActive ${of}`, pool.clActive);
      expectZero(`clWaiting ${of}`, pool.clWaiting);
      expectZero(`svActive ${of}`, pool.svActive);
      expectZero(`svLogin ${of}`, pool.svLogin);
      idle += pool.svIdle + pool.svUsed;
    }
    const open = this.io.open.filter(({ state }) => state === 'open');
    const resting = [...this.server.sessions].filter((session) => session.resting).length;
    if (idle !== snapshot.servers) problems.push(`${snapshot.servers} servers, but ${idle} idle`);
    if (resting !== idle) problems.push(`${idle} idle, but ${resting} resting model sessions`);
    if (open.length !== idle) problems.push(`${idle} idle, but ${open.length} open connections`);
    for (const session of this.server.sessions) {
      for (const [what] of session.objects?.leftovers(this.plan.settings) ?? []) {
        problems.push(`${session.label} has ${what}`);
      }
    }
    if (problems.length > 0) this.ledger.fail(`after the last client: ${problems.join('; ')}`);
  }
}

function printable(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return value;
}
