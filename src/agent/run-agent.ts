/** A node's agent as a process: from its configuration to its end. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ClusterEvent } from '../cluster/history.js';
import type { Report } from '../cluster/inputs.js';
import type { NodeState } from '../cluster/node-state.js';
import { EPOCH } from '../cluster/records.js';
import { HOLDING_STATES } from '../cluster/states.js';
import type { AgentConfig } from '../config/agent-config.js';
import { SignalQueue } from '../control/signal-queue.js';
import { sharedClock } from '../reactor/shared-clock.js';
import { kubernetesOf, openStore, thisPod } from '../stores/open-store.js';
import type { Store, StoreError } from '../stores/store.js';
import { askSwitchover, recordEvent } from '../stores/wishes.js';
import {
  clusterSettings,
  type Preparation,
  postgresSettings,
  prepareAgent,
  refuseData,
  warnOf,
} from './agent-preparation.js';
import { AgentReload } from './agent-reload.js';
import { EventCommand } from './event-command.js';
import { EventJournal, eventOf } from './event-journal.js';
import { NodeAgent } from './node-agent.js';
import { labelOwnPod, type PodLabel, podRole } from './pod-label.js';
import { initializeAlone, isHalfInitialized } from './postgres/initialize.js';
import { openPostgresSide } from './postgres/local-postgres.js';
import { nodePaths } from './postgres/state-folder.js';

/** While the store can't be asked whether the cluster is new. ms. */
const STORE_RETRY_MS = 1000;
/** How long PostgreSQL may take to stop in order when the agent ends. ms. */
const STOP_MS = 30_000;
/** How long the end of an agent may wait for its label to go. ms. */
const LABEL_MS = 1000;
/** Requests to a store may be made twice, to two of its members. */
const ANSWER_PARTS = 2;
const REQUEST_PART = 5;

/** What is opened beside a running agent. */
export interface AgentSurface {
  close(): Promise<void>;
}

/** Opens HTTP, if the configuration wants it. */
export type OpenSurface = (
  agent: NodeAgent,
  config: AgentConfig,
  store: Store,
  logger: Logger,
) => Promise<AgentSurface>;

/**
 * Runs until a signal ends it, and reads its configuration again (`load`) at SIGHUP: SIGTERM and SIGINT in order (a primary hands over first), a second one at once. Returns the
 * exit code: 0 when it has ended in order, 1 when the machine has failed.
 * @throws {AgentError} what an operator has to change before it can run
 */
export async function runAgent(
  config: AgentConfig,
  load: () => Promise<AgentConfig>,
  logger: Logger,
  openSurface: OpenSurface,
): Promise<number> {
  const signals = new SignalQueue(['SIGTERM', 'SIGINT']);
  // Before it runs there is nothing to read again; it would end us.
  const early = new SignalQueue(['SIGHUP']);
  const store = openStore(config.cluster, sharedClock);
  try {
    const preparation = await prepareAgent(config);
    warnOf(preparation, logger);
    const isEnding = await begin(config, preparation, store, logger, signals);
    if (isEnding) return 0;
    return await run({ config, load, preparation, store, logger, signals, openSurface });
  } finally {
    signals.close();
    early.close();
    await store.close();
  }
}

/** Makes data for a cluster that has never been, if this node may. True: a signal has come meanwhile. */
async function begin(
  { postgresql }: AgentConfig,
  preparation: Preparation,
  store: Store,
  logger: Logger,
  signals: SignalQueue,
): Promise<boolean> {
  const { postgres, data } = preparation;
  if (postgresql.bootstrap === 'never' || data.data === 'whole') return false;
  if (data.data === 'damaged' && !(await isHalfInitialized(postgres))) return false;
  const stop = signals.next().then(() => 'signal' as const);
  for (;;) {
    const view = await store.read().catch((error: StoreError) => {
      logger.warn(`the store can't be asked whether the cluster is new: ${error.message}`);
      return null;
    });
    if (view !== null) {
      const isNew = !view.values.has(EPOCH);
      refuseData(preparation, postgresql.bootstrap, isNew);
      if (!isNew) return false;
      logger.info(`the cluster has never been: initdb in ${postgres.data}`);
      await initializeAlone(postgres);
      return false;
    }
    if ((await Promise.race([pause(STORE_RETRY_MS), stop])) === 'signal') return true;
  }
}

interface RunParts {
  readonly config: AgentConfig;
  readonly load: () => Promise<AgentConfig>;
  readonly preparation: Preparation;
  readonly store: Store;
  readonly logger: Logger;
  readonly signals: SignalQueue;
  readonly openSurface: OpenSurface;
}

async function run(parts: RunParts): Promise<number> {
  const { config, store, logger, signals, openSurface } = parts;
  const { settings, postgres } = parts.preparation;
  const journal = openJournal(config, store, logger);
  const label = openLabel(config, logger);
  let onBroken: (error: unknown) => void = () => {};
  const broken = new Promise<unknown>((resolve) => {
    onBroken = resolve;
  });
  const agent = await NodeAgent.start({
    settings,
    life: `${Date.now().toString(36)}-${randomBytes(4).toString('hex')}`,
    store,
    answerMs: (ANSWER_PARTS * settings.timing.leaseMs) / REQUEST_PART,
    clock: sharedClock,
    logger,
    openPostgres: (world) => openPostgresSide(postgres, world),
    onReport: (report, state) => {
      journal.report(report, state);
      label?.tell(podRole(state.name));
    },
    onStoreTrouble: (error) => noteStore(logger, error),
    onLate: (lateMs) =>
      logger.warn(`the agent's loop was ${lateMs} ms late: the machine is busy, or stood still`),
    onBroken,
  });
  const surface = await openSurface(agent, config, store, logger).catch(async (error: unknown) => {
    await agent.end('fast', STOP_MS);
    throw error;
  });
  logger.info(
    `agent of ${config.node}, cluster ${config.cluster.name}, PostgreSQL ${postgres.binaries.version}`,
  );
  const { binaries, serverUser } = postgres;
  const reload = new AgentReload({
    ...{ config, logger, load: parts.load },
    apply: async (next) => {
      await agent.reload(clusterSettings(next), postgresSettings(next, { binaries, serverUser }));
      journal.change(next);
    },
  });
  const code = await untilEnd(agent, store, logger, signals, broken);
  await reload.close();
  await label?.close(LABEL_MS);
  await surface.close();
  await journal.close();
  return code;
}

function openLabel({ labelPod, node, cluster }: AgentConfig, logger: Logger): PodLabel | null {
  if (!labelPod) return null;
  const settings =
    cluster.store.kind === 'kubernetes' ? kubernetesOf(cluster.name, cluster.store) : thisPod();
  return labelOwnPod(settings, process.env.POD_NAME ?? node, sharedClock, (message) => logger.warn(message));
}

async function untilEnd(
  agent: NodeAgent,
  store: Store,
  logger: Logger,
  signals: SignalQueue,
  broken: Promise<unknown>,
): Promise<number> {
  const failure = broken.then((error) => ({ error }));
  const first = await Promise.race([signals.next(), failure]);
  if (typeof first !== 'string') {
    const { error } = first;
    logger.error(
      `the agent has failed and ends its PostgreSQL: ${error instanceof Error ? error.stack : error}`,
    );
    await agent.end('immediate', STOP_MS);
    return 1;
  }
  logger.info(`${first}: ending; a second signal hurries`);
  const hurry = signals.next().then(() => 'hurry' as const);
  const handed = handOver(agent, store, logger).then(() => 'handed' as const);
  const isHurried = (await Promise.race([handed, hurry, failure])) !== 'handed';
  const ended = agent.end(isHurried ? 'immediate' : 'fast', STOP_MS);
  void hurry.then(() => agent.end('immediate', STOP_MS));
  await ended;
  return 0;
}

/** A leader that ends gives way to a standby first, if one can take over. */
async function handOver(agent: NodeAgent, store: Store, logger: Logger): Promise<void> {
  if (!HOLDING_STATES.has(agent.state.name)) return;
  const { checkpointMs, drainMs, yieldMs, patienceMs } = agent.state.settings.timing;
  try {
    await askSwitchover(store, null);
    logger.info('handing over to a standby');
    const limitMs = checkpointMs + drainMs + 2 * yieldMs;
    const hasYielded = await agent.until(({ name }) => !HOLDING_STATES.has(name), limitMs);
    // The standby takes over while we are still there to vote.
    if (hasYielded) {
      await agent.until(
        ({ view, epoch }) => view?.leader != null && epoch?.value.term === view.term,
        2 * patienceMs,
      );
    }
  } catch (error) {
    logger.info(`nobody to hand over to: ${(error as Error).message}`);
  }
}

function noteStore(logger: Logger, error: StoreError | null): void {
  if (error === null) logger.info('the store answers again');
  else logger.warn(`the store does not answer: ${error.message}`);
}

/** Where reports go: the log, the node's file, the store, the operator's command. */
function openJournal(config: AgentConfig, store: Store, logger: Logger) {
  const { node, cluster, postgresql } = config;
  const paths = nodePaths({ node, data: postgresql.data });
  const onTrouble = (message: string) => logger.warn(message);
  const command = new EventCommand({
    ...{ words: config.onEvent, limitMs: config.onEventMs, cluster: cluster.name, node, onTrouble },
  });
  const journal = new EventJournal({
    file: join(paths.folder, 'events.jsonl'),
    publish: (event) => {
      recordEvent(store, event).catch((error: Error) =>
        onTrouble(`the event is not in the cluster's history: ${error.message}`),
      );
    },
    command: (event) => command.tell(event),
    onTrouble,
  });
  const report = (what: Report, { view, holding }: NodeState) => {
    const event = eventOf(what, node, holding?.term ?? view?.term ?? 0, new Date());
    const kept = what.what === 'left behind' ? { keptIn: paths.keptWal } : {};
    const complete: ClusterEvent = { ...event, details: { ...event.details, ...kept } };
    logger[what.what === 'left behind' ? 'warn' : 'info'](complete.text);
    journal.note(complete);
  };
  const close = async () => {
    await journal.close();
    await command.close();
  };
  const change = ({ onEvent, onEventMs }: AgentConfig) =>
    command.change({ words: onEvent, limitMs: onEventMs });
  return { report, change, close };
}
