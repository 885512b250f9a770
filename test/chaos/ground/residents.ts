/**
 * Who runs at which place, where all places share one network: by a variable of the environment that processes inherit, and what
 * Linux tells of processes and their sockets (proc(5)).
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';

const VARIABLE = 'SLUICE_CHAOS_PLACE';
/** Of /proc/PID/status. A bit of the capabilities (capability.h). */
const CAP_SYS_PTRACE = 19n;
/** Processes that are looked at first when a connection arrives. */
const LATELY_MAX = 64;

/** One end of a connection. */
export interface End {
  readonly address: string;
  readonly port: number;
}

/** A connection, as its client and its server know it. */
export interface Connection {
  readonly client: End;
  readonly server: End;
}

/** A process, as long as its start is the same. */
interface Resident {
  /** null: none of ours. */
  readonly place: string | null;
  readonly start: string;
}

interface Facts {
  readonly parent: number;
  readonly start: string;
}

/** Why we may not look at sockets of the user whom PostgreSQL runs as; null: we may (Linux). */
export function whyBlind(): string | null {
  if (process.getuid?.() !== 0) return null;
  const [, capabilities] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  const isAble = (BigInt(`0x${capabilities ?? '0'}`) >> CAP_SYS_PTRACE) & 1n;
  return isAble
    ? null
    : "root without the capability SYS_PTRACE can't see others' sockets: do it as an ordinary user";
}

export class Residents {
  readonly #run: string;
  readonly #starter: number;
  #known = new Map<number, Resident>();
  /** Who has connected last comes first. */
  #lately: number[] = [];

  /**
   * @param run tells them from those of other runs on this machine
   * @param starter the process that starts programs at places
   */
  constructor(run: string, starter: number) {
    this.#run = run;
    this.#starter = starter;
  }

  /** What makes a process, and all that it starts, one of a place. */
  environment(place: string): Record<string, string> {
    return { [VARIABLE]: `${this.#run}-${place}` };
  }

  /** The ids of all processes at a place. */
  at(place: string): number[] {
    this.#look();
    return [...this.#known].filter(([, resident]) => resident.place === place).map(([pid]) => pid);
  }

  /**
   * Where the processes are that have made connections, in their order; null: it is closed already, or nobody's of ours. It takes
   * the kernel some milliseconds to list all connections, however many are asked for.
   */
  callers(connections: readonly Connection[]): (string | null)[] {
    const inodes = clientSockets(connections);
    const left = new Set(inodes.values());
    const owners = new Map<string, number>();
    const search = (pids: Iterable<number>): void => {
      for (const pid of pids) {
        if (left.size === 0) return;
        for (const inode of socketsOf(pid)) if (left.delete(inode)) owners.set(inode, pid);
      }
    };
    search(this.#lately);
    const found = [...new Set(owners.values())];
    if (left.size > 0 || found.some((pid) => this.#known.get(pid)?.start !== factsOf(pid)?.start)) {
      this.#look();
      search(this.#residentIds());
    }
    this.#lately = [...new Set([...owners.values(), ...this.#lately])].slice(0, LATELY_MAX);
    return connections.map((one) => this.#known.get(owners.get(inodes.get(one) ?? '') ?? 0)?.place ?? null);
  }

  #residentIds(): number[] {
    return [...this.#known].filter(([, { place }]) => place !== null).map(([pid]) => pid);
  }

  /** Looks at all processes of the machine. One that was known stays known, also when whoever has started it is gone. */
  #look(): void {
    const facts = new Map<number, Facts>();
    for (const pid of processIds()) {
      const found = factsOf(pid);
      if (found !== null) facts.set(pid, found);
    }
    const now = new Map<number, Resident>();
    const residentOf = (pid: number): Resident | null => {
      const one = facts.get(pid);
      if (one === undefined) return null;
      const known = now.get(pid) ?? this.#known.get(pid);
      if (known?.start === one.start) {
        now.set(pid, known);
        return known;
      }
      // PostgreSQL writes its processes' titles over their environment, and a guard gets none: then the parent's counts.
      const place = this.#toldBy(pid) ?? residentOf(one.parent)?.place ?? null;
      const resident = { place, start: one.start };
      // A process that we have just started has our environment for a moment.
      if (place !== null || one.parent !== this.#starter) now.set(pid, resident);
      return resident;
    };
    for (const pid of facts.keys()) residentOf(pid);
    this.#known = now;
  }

  /** By its own environment. */
  #toldBy(pid: number): string | null {
    const begin = `${VARIABLE}=${this.#run}-`;
    try {
      const entries = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
      return entries.find((entry) => entry.startsWith(begin))?.slice(begin.length) ?? null;
    } catch {
      return null;
    }
  }
}

function processIds(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** null: there is none, or it has ended. */
function factsOf(pid: number): Facts | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : { parent: Number(fields[1]), start: fields[19]! };
  } catch {
    return null;
  }
}

/** The sockets that a process has open, by their inodes; none where we may not look. */
export function socketsOf(pid: number): string[] {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).flatMap(
      (fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${fd}`))?.[1] ?? [],
    );
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** As /proc/net/tcp has it, on machines that are little-endian. */
export function hexadecimal({ address, port }: End): string {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return `${bytes.reverse().join('')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

/** The inodes of clients' sockets, as far as somebody has them open. */
function clientSockets(connections: readonly Connection[]): Map<Connection, string> {
  const left = new Map(
    connections.map((one) => [one, ` ${hexadecimal(one.client)} ${hexadecimal(one.server)} `] as const),
  );
  const found = new Map<Connection, string>();
  for (const lines of pages('/proc/net/tcp')) {
    for (const [connection, ends] of left) {
      const at = lines.indexOf(ends);
      if (at < 0) continue;
      left.delete(connection);
      // Behind them: state, queues, timer, retransmissions, user, timeout, inode.
      const inode = lines.slice(at).trimStart().split(/\s+/, 9)[8]!;
      if (inode !== '0') found.set(connection, inode);
    }
    if (left.size === 0) break;
  }
  return found;
}

/** The whole lines of a long file of the kernel's, as it hands them out. */
function* pages(path: string): Generator<string> {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(64 * 1024);
    let rest = '';
    for (let length = 1; length > 0; ) {
      length = readSync(file, bytes);
      const text = rest + bytes.toString('latin1', 0, length);
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      yield text.slice(0, end);
    }
  } finally {
    closeSync(file);
  }
}
