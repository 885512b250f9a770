/**
 * The whole check: a cluster whose standbys are kept behind, sessions that read and write through two gateways (or through a
 * router of the checker's own), writers that bypass them, and the check of what all of them have seen, round by round.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { SeededRandom } from '../fuzz/random.js';
import type { Driver, GatewayUnderTest } from '../harness/gateway-under-test.js';
import { until } from '../harness/until.js';
import { type Cluster, PRIMARY } from './cluster.js';
import { type DelayCounts, delayStandbys } from './delays.js';
import { startGateways, startPoolers, type Way } from './gateways.js';
import type { ListHistory, RegisterHistory } from './history.js';
import { workOnLists } from './list-workload.js';
import { checkLists } from './lists.js';
import { restOf } from './lulls.js';
import { Recorder } from './recorder.js';
import { type Work, workOnRegisters, writeRegisters } from './register-workload.js';
import { checkRegisters } from './registers.js';
import { connectionDoor, type Door, type Session, type StandIn, standInDoor } from './session.js';
import { type Findings, judgeProof, judgeRound, type Mode } from './verdict.js';

export interface CheckOptions {
  readonly mode: Mode;
  readonly seconds: number;
  readonly roundSeconds: number;
  /** Null: through two gateways. */
  readonly standIn: StandIn | null;
  readonly way: Way;
  /** 2: a gateway that only pools stands before each gateway that routes. */
  readonly tiers: 1 | 2;
  /** Drivers of the two gateways; undefined: what there is. */
  readonly drivers?: readonly Driver[] | undefined;
  /** Server connections of each gateway to each node; fewer than sessions: reads wait, and share the next one. */
  readonly poolSize: number;
  /** Sessions on each of the two gateways. */
  readonly sessions: number;
  readonly seed: number;
  readonly onRound: (round: Round) => void;
}

/** What came of one round. */
export interface Round {
  readonly number: number;
  readonly recorder: Recorder;
  readonly registers: RegisterHistory;
  readonly lists: ListHistory;
  readonly findings: Findings;
  readonly delays: DelayCounts;
  /** What speaks against it. */
  readonly against: readonly string[];
}

/** What came of all. */
export interface Report {
  /** What speaks against the gateways, or against the proof; empty: the mode keeps its promise. */
  readonly against: readonly string[];
  readonly reads: ReadonlyMap<string, number>;
  readonly staleReads: number;
  readonly gatewayLogs: readonly string[];
}

const isPrimary = (node: string): boolean => node === PRIMARY;
/** Writers beside the gateways leave the machine to them. */
const BYPASS_PAUSE_MS = 6;
/** How much longer it goes on for a proof: on a busy machine little happens in a second. */
const GRACE_MS = 20_000;
/** One session in so many works on lists. */
const LISTS_SHARE = 3;

/** Runs rounds until the time is over, or until one of them breaks the mode's promise. */
export async function checkConsistency(cluster: Cluster, options: CheckOptions): Promise<Report> {
  let gateways: GatewayUnderTest[] = [];
  let doors: readonly GatewayUnderTest[] = [];
  try {
    if (options.standIn === null) {
      const mode = options.way === 'database' ? options.mode : oppositeOf(options.mode);
      gateways = await startGateways(cluster, mode, options.poolSize, options.drivers);
      doors = options.tiers === 1 ? gateways : await startPoolers(gateways, options.drivers);
      // The tier in front is ended first.
      if (doors !== gateways) gateways = [...doors, ...gateways];
    }
    const report = await runRounds(options, cluster, doors);
    const against = [...report.against];
    for (const gateway of gateways.splice(0)) {
      await gateway.stop().catch((error: Error) => against.push(error.message.slice(0, 2000)));
      report.gatewayLogs.push(gateway.log);
    }
    return { ...report, against };
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop().catch(() => {})));
  }
}

/** What the database's entry says where sessions say something else: a SET without effect must show. */
function oppositeOf(mode: Mode): Mode {
  return mode === 'eventual' ? 'strong' : 'eventual';
}

async function runRounds(
  options: CheckOptions,
  cluster: Cluster,
  gateways: readonly GatewayUnderTest[],
): Promise<Report & { gatewayLogs: string[] }> {
  const random = new SeededRandom(options.seed);
  const crew = await Crew.open(options, cluster, gateways, random);
  const reads = new Map(cluster.nodes.map(({ port }) => [cluster.nameOf(String(port)), 0]));
  const against: string[] = [];
  let staleReads = 0;
  let writes = 0;
  const unproved = () => judgeProof({ mode: options.mode, staleReads, writes, reads, isPrimary });
  try {
    const end = performance.now() + options.seconds * 1000;
    const goesOn = (): boolean => {
      const left = end - performance.now();
      return against.length === 0 && (left > 0 || (left > -GRACE_MS && unproved().length > 0));
    };
    for (let number = 1; goesOn(); number++) {
      const seconds = Math.min(options.roundSeconds, Math.max(1, (end - performance.now()) / 1000));
      const round = await crew.round(number, seconds, options.mode);
      for (const [node, count] of round.recorder.reads) reads.set(node, (reads.get(node) ?? 0) + count);
      staleReads += round.findings.registers.stale.length + round.findings.lists.stale.length;
      writes += round.findings.registers.writes;
      against.push(...round.against);
      options.onRound(round);
    }
  } finally {
    await crew.end();
  }
  against.push(...unproved());
  return { against, reads, staleReads, gatewayLogs: [] };
}

/** A gateway that has just been started has yet to learn who is a standby, and what functions do. */
async function warmUp({ standbys }: Cluster, sessions: readonly Session[]): Promise<void> {
  const served = new Set<string>();
  let asked = 0;
  await until('reads through a new gateway to go to all standbys', async () => {
    // In turns: each may keep to the standby that it has read from.
    const session = sessions[asked++ % sessions.length]!;
    const [row] = await session.run({ text: 'SELECT served_by() AS node' });
    served.add(row?.node);
    return standbys.every(({ port }) => served.has(String(port)));
  });
}

/** All sessions. */
class Crew {
  readonly #cluster: Cluster;
  readonly #random: SeededRandom;
  readonly #sessions: readonly Session[];
  /** Their connections are the primary's. */
  readonly #bypassing: readonly Session[];

  private constructor(
    cluster: Cluster,
    random: SeededRandom,
    sessions: readonly Session[],
    bypassing: readonly Session[],
  ) {
    this.#cluster = cluster;
    this.#random = random;
    this.#sessions = sessions;
    this.#bypassing = bypassing;
  }

  static async open(
    options: CheckOptions,
    cluster: Cluster,
    gateways: readonly GatewayUnderTest[],
    random: SeededRandom,
  ): Promise<Crew> {
    const { standIn, sessions: count, way, mode } = options;
    const doors: Door[] =
      standIn === null
        ? gateways.map(({ port }) => connectionDoor(port))
        : [0, 1].map(() => standInDoor(cluster, standIn, random));
    const sessions = await Promise.all(doors.flatMap((door) => Array.from({ length: count }, door)));
    if (standIn === null && way === 'session') {
      for (const session of sessions) await session.run({ text: `SET sluice.consistency = '${mode}'` });
    }
    if (standIn === null && mode !== 'primary') {
      await Promise.all(doors.map((_, at) => warmUp(cluster, sessions.slice(at * count, (at + 1) * count))));
    }
    const { port } = cluster.primary;
    const bypassing = [
      await connectionDoor(port)(),
      await connectionDoor(port, '-c synchronous_commit=off')(),
    ];
    return new Crew(cluster, random, sessions, bypassing);
  }

  async round(number: number, seconds: number, mode: Mode): Promise<Round> {
    const initial = await this.#cluster.registers();
    this.#cluster.listNumbers.renew();
    const recorder = new Recorder();
    const goesOn = (): boolean => recorder.now() < seconds * 1000;
    const work = (session: Session, id: number): Work => ({
      ...{ id, session, cluster: this.#cluster, recorder, random: this.#random, goesOn },
    });
    const [delays] = await Promise.all([
      delayStandbys(this.#cluster, this.#random, goesOn),
      ...this.#sessions.map((session, id) =>
        id % LISTS_SHARE === 0
          ? workOnLists(work(session, id), this.#cluster.listNumbers)
          : workOnRegisters(work(session, id)),
      ),
      ...this.#bypassing.map((session, index) =>
        writeRegisters(work(session, this.#sessions.length + index), () =>
          pause(restOf(recorder.now(), BYPASS_PAUSE_MS)),
        ),
      ),
    ]);
    const registers = { initial, operations: recorder.operations };
    const lists = { transactions: recorder.transactions, final: await this.#cluster.lists() };
    const findings: Findings = {
      registers: checkRegisters(registers, isPrimary),
      lists: checkLists(lists, isPrimary),
      failures: recorder.failures,
    };
    const against = judgeRound(mode, findings);
    return { number, recorder, registers, lists, findings, delays, against };
  }

  async end(): Promise<void> {
    await Promise.all(
      [...this.#sessions, ...this.#bypassing].map((session) => session.end().catch(() => {})),
    );
  }
}
