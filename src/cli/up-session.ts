/**
 * `sluice up` from start to end: a cluster, a gateway in front of its primary, and an orderly stop, whatever happens
 * in between.
 */
import { AgentError } from '../agent/agent-error.js';
import { canRunAgents, startAgentCluster } from '../agent/demo-agents.js';
import { startDemoCluster } from '../agent/demo-cluster.js';
import type { DemoCluster } from '../agent/demo-ground.js';
import { portUnusable, probePort, requireFreePort } from '../agent/ports.js';
import { createStepProgress, type ProgressOutput, type StepProgress } from './step-progress.js';
import { failureText, goodbyeText, readyText } from './up-texts.js';

/** What the operator asked for. null: the default, or found out. */
export interface UpOptions {
  readonly folder: string | null;
  readonly standbys: number;
  readonly port: number;
  readonly firstPostgresPort: number | null;
  readonly binDirectory: string | null;
  readonly reset: boolean;
}

/** What the gateway is to do. */
export interface GatewayOrder {
  readonly listenPort: number;
  /** The primary and its standbys, if there are any; the primary alone otherwise. A host may be the folder of a unix socket. */
  readonly nodes: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  /** Whose agents say who is the primary; null: the nodes do themselves. */
  readonly cluster: { readonly name: string; readonly storeSocket: string } | null;
  /** Where the cluster's files are, for a log. */
  readonly folder: string;
  /** Told what the operator should know at once. */
  readonly onWarning: (text: string) => void;
}

/** A gateway that runs. */
export interface UpGateway {
  /** How it talks to the kernel, and why not better (empty: it is the best way). */
  readonly driver: string;
  readonly driverReason: string;
  /** Ends all sessions; resolves when nothing of it is left. */
  stop(): Promise<void>;
}

/** The world around the command; tests supply their own. */
export interface UpSurroundings {
  readonly output: ProgressOutput;
  readonly errors: { write(text: string): unknown };
  readonly startGateway: (order: GatewayOrder) => Promise<UpGateway>;
  /** Fires when the operator wants it to end: at the start or while it runs. */
  readonly interrupt: AbortSignal;
  /** Registers what to do when the operator can't wait for the orderly stop. */
  readonly onImpatience: (hurry: () => void) => void;
}

/** How long the gateway may take to end its sessions. */
const GATEWAY_STOP_MS = 5_000;

/** Runs until interrupted. Returns the exit code: 0 after an orderly end, 1 after a failure, 130 if interrupted early. */
export async function runUp(options: UpOptions, surroundings: UpSurroundings): Promise<number> {
  const { output, errors, interrupt } = surroundings;
  const progress = createStepProgress(output);
  let cluster: DemoCluster | null = null;
  let gateway: UpGateway | null = null;
  let code = 0;
  try {
    cluster = await startCluster(options, interrupt, progress);
    surroundings.onImpatience(cluster.hurry);
    gateway = await startGateway(options, cluster, surroundings, progress);
    interrupt.throwIfAborted();
    output.write(readyText(options.port, cluster));
    await aborted(interrupt);
  } catch (error) {
    progress.close();
    if (interrupt.aborted) code = cluster === null || gateway === null ? 130 : 0;
    else {
      code = 1;
      errors.write(failureText(error));
    }
  }
  if (cluster === null) {
    if (interrupt.aborted) output.write('Interrupted; nothing is left running.\n');
    return code;
  }
  const stopped = await stopAll(cluster, gateway, progress);
  if (stopped === null) output.write(goodbyeText(cluster.folder));
  else errors.write(failureText(stopped));
  return stopped === null ? code : 1;
}

function startCluster(options: UpOptions, signal: AbortSignal, progress: StepProgress): Promise<DemoCluster> {
  const start = canRunAgents() ? startAgentCluster : startDemoCluster;
  return start({
    folder: options.folder,
    standbys: options.standbys,
    firstPort: options.firstPostgresPort,
    avoidPorts: [options.port],
    binDirectory: options.binDirectory,
    reset: options.reset,
    preflight: () => requireFreePort(options.port, '--port'),
    signal,
    progress,
    now: new Date(),
  });
}

async function startGateway(
  options: UpOptions,
  cluster: DemoCluster,
  surroundings: UpSurroundings,
  progress: StepProgress,
): Promise<UpGateway> {
  const primary = cluster.nodes.find((node) => node.role === 'primary');
  if (primary === undefined) throw new AgentError('the cluster has no primary');
  progress.begin('starting the gateway');
  try {
    const gateway = await surroundings.startGateway({
      listenPort: options.port,
      nodes: cluster.nodes.map(({ name, host, port, socketFolder }) => ({
        name,
        host: socketFolder ?? host,
        port,
      })),
      cluster: clusterOf(cluster),
      folder: cluster.folder,
      onWarning: (text) => progress.note(text),
    });
    const why = gateway.driverReason === '' ? '' : `: ${gateway.driverReason}`;
    progress.end(`the gateway listens on ${primary.host}:${options.port} (driver ${gateway.driver}${why})`);
    return gateway;
  } catch (error) {
    // It was free when we began, some seconds ago.
    const problem = await probePort(options.port);
    throw problem === null ? error : portUnusable(options.port, problem, '--port');
  }
}

function clusterOf({ clusterName: name, storeSocket }: DemoCluster): GatewayOrder['cluster'] {
  return name === null || storeSocket === null ? null : { name, storeSocket };
}

/** Sessions end first, then the standbys, then the primary. Returns what went wrong, if anything did. */
async function stopAll(
  cluster: DemoCluster,
  gateway: UpGateway | null,
  progress: StepProgress,
): Promise<unknown> {
  let problem: unknown = null;
  try {
    if (gateway !== null) {
      progress.begin('stopping the gateway');
      await within(gateway.stop(), GATEWAY_STOP_MS, 'the gateway');
    }
  } catch (error) {
    problem = error;
  }
  try {
    progress.begin('stopping PostgreSQL');
    await cluster.stop();
    progress.end('everything is stopped');
  } catch (error) {
    problem = error;
  } finally {
    progress.close();
  }
  return problem;
}

async function within(work: Promise<void>, milliseconds: number, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const seconds = milliseconds / 1000;
    timer = setTimeout(() => reject(new AgentError(`${what} didn't stop within ${seconds} s`)), milliseconds);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
