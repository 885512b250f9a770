/** TCP ports on the loopback address: which are free, which to take, and what to say about a busy one. */
import { createServer } from 'node:net';
import { AgentError, errorCode } from './agent-error.js';
import { listenerOn } from './process-facts.js';

export const LOOPBACK = '127.0.0.1';
const DEFAULT_FIRST_PORT = 5433;
const LAST_PORT = 65_535;

/** null when `port` can be listened on; else the system's error code (`EADDRINUSE`, `EACCES`). */
export function probePort(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(errorCode(error) ?? 'unknown'));
    server.listen({ host: LOOPBACK, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** Throws an AgentError that names the holder, if it can be known, and the option that changes the port. */
export async function requireFreePort(port: number, option: string): Promise<void> {
  const problem = await probePort(port);
  if (problem !== null) throw portUnusable(port, problem, option);
}

/** The message for a port that can't be listened on. */
export function portUnusable(port: number, problem: string, option: string): AgentError {
  if (problem === 'EACCES') {
    return new AgentError(
      `port ${port} may not be used by this user`,
      [`Choose one above 1023 with ${option} N.`],
      'port-busy',
    );
  }
  const holder = listenerOn(port);
  const who = holder === null ? 'another process' : holder;
  return new AgentError(
    `port ${port} on ${LOOPBACK} is in use by ${who}`,
    [`Stop that process, or choose another port with ${option} N.`],
    'port-busy',
  );
}

export interface PortWishes {
  readonly count: number;
  /** What the operator asked for: these ports in a row, or an error. null: any free ones. */
  readonly first: number | null;
  /** The ports of the last run, preferred while they are free. */
  readonly previous: readonly number[];
  /** Taken by somebody else of ours soon, e.g. the gateway. */
  readonly avoid: readonly number[];
}

/** Chooses ports for `count` nodes. `isFree` is there for tests. */
export async function choosePorts(
  wishes: PortWishes,
  isFree: (port: number) => Promise<boolean> = async (port) => (await probePort(port)) === null,
): Promise<readonly number[]> {
  const { count, first, previous, avoid } = wishes;
  if (first !== null) {
    const wanted = Array.from({ length: count }, (_, index) => first + index);
    const clash = wanted.find((port) => avoid.includes(port) || port > LAST_PORT);
    if (clash !== undefined) {
      throw new AgentError(
        `PostgreSQL's ports would be ${wanted.join(', ')}, and ${clash} can't be one of them`,
        ['Choose another first port with --pg-port N, or another port for the gateway with --port N.'],
      );
    }
    for (const port of wanted) {
      if (!(await isFree(port))) throw portUnusable(port, 'EADDRINUSE', '--pg-port');
    }
    return wanted;
  }
  const chosen: number[] = [];
  let next = DEFAULT_FIRST_PORT;
  for (let index = 0; index < count; index++) {
    const usable = async (port: number) =>
      !avoid.includes(port) && !chosen.includes(port) && (await isFree(port));
    let port = previous[index];
    if (port === undefined || !(await usable(port))) {
      while (next <= LAST_PORT && (previous.includes(next) || !(await usable(next)))) next++;
      if (next > LAST_PORT) throw new AgentError('no TCP port is free on the loopback address');
      port = next;
    }
    chosen.push(port);
  }
  return chosen;
}
