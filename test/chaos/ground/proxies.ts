/**
 * Machines that are addresses of the loopback interface: no root is needed. Programs listen where nobody is told, and everybody
 * reaches them by way of small proxies in this process, which lose what a fault wants to be lost.
 *
 * What differs from machines with networks of their own: a connection to who is cut off is accepted, and then silent; who has nobody
 * listening resets it after that; and as the kernel sees it, no connection ever lacks an answer, so that none ends by
 * TCP's own timeouts. A cut connection goes on where it was when it is healed. Unix sockets and 127.0.0.1 are everybody's.
 */
import type { ChildProcess } from 'node:child_process';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { start } from '../../harness/command.js';
import { serverIdentity } from '../../harness/postgres-binaries.js';
import { Callers } from './callers.js';
import { Conduit } from './conduit.js';
import type { Ground, Place, RunAt } from './ground.js';
import { signalAll } from './program.js';
import { type Connection, Residents, whyBlind } from './residents.js';

/** Published addresses of a run end in these and those that follow, its own ones in as many less. */
const FIRST_PUBLISHED = 101;
const OWN_BELOW = 100;
/** How often it is found out who has connected, as long as it doesn't matter. */
const IDENTIFY_MS = 1_000;
/** So often it is asked who somebody is whom nobody knows: the kernel's list may lack a connection while others come and go. */
const TRIES_MAX = 5;
/** Programs that are killed may just have started others. */
const SWEEPS = 3;

interface Unknown extends Connection {
  readonly tries: number;
}

/** Why there can be none here; null: there can. */
export function whyNoProxies(): string | null {
  return process.platform === 'linux'
    ? whyBlind()
    : 'proxies find out by /proc who connects: they need Linux';
}

class LoopbackPlace implements Place {
  readonly name: string;
  readonly address: string;
  readonly listens: string;
  readonly #environment: Readonly<Record<string, string>>;

  constructor(name: string, subnet: string, index: number, residents: Residents) {
    this.name = name;
    this.address = `${subnet}.${FIRST_PUBLISHED + index}`;
    this.listens = `${subnet}.${FIRST_PUBLISHED - OWN_BELOW + index}`;
    this.#environment = residents.environment(name);
  }

  start({ program, args, asServer = false, env = {}, cwd, stdio }: RunAt): ChildProcess {
    return start(program, args, {
      env: { ...process.env, ...env, ...this.#environment },
      stdio: stdio ?? ['ignore', 'pipe', 'pipe'],
      ...(asServer ? serverIdentity() : {}),
      ...(cwd === undefined ? {} : { cwd }),
    });
  }
}

export class ProxyGround implements Ground {
  readonly places: ReadonlyMap<string, LoopbackPlace>;
  readonly #residents: Residents;
  readonly #callers: Callers;
  readonly #servers: Server[] = [];
  readonly #conduits = new Set<Conduit>();
  /** Of whom it isn't known who they are, nor asked. */
  readonly #unknown = new Map<Conduit, Unknown>();
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;
  readonly #cuts = new Set<string>();
  readonly #downs = new Set<string>();

  private constructor(names: readonly string[]) {
    // Runs beside each other get addresses of their own.
    const subnet = `127.${64 + ((process.pid >> 8) & 127)}.${process.pid & 255}`;
    const run = `chaos${process.pid}`;
    this.#residents = new Residents(run, process.pid);
    this.#callers = new Callers(run);
    const places = names.map((name, index) => new LoopbackPlace(name, subnet, index, this.#residents));
    this.places = new Map(places.map((place) => [place.name, place]));
    this.#timer = setInterval(() => void this.#identify(), IDENTIFY_MS).unref();
  }

  /** Others reach these ports of each machine, and no others. */
  static async create(names: readonly string[], ports: readonly number[]): Promise<ProxyGround> {
    const ground = new ProxyGround(names);
    process.once('exit', ground.#leave);
    try {
      for (const place of ground.places.values()) {
        for (const port of ports) await ground.#publish(place, port);
      }
    } catch (error) {
      await ground.discard();
      throw error;
    }
    return ground;
  }

  place(name: string): LoopbackPlace {
    const place = this.places.get(name);
    if (place === undefined) throw new Error(`there is no machine ${name}`);
    return place;
  }

  processes(name: string): number[] {
    return this.#residents.at(this.place(name).name);
  }

  async down(name: string): Promise<void> {
    this.#downs.add(this.place(name).name);
    this.#adjust();
  }

  async up(name: string): Promise<void> {
    if (this.#downs.delete(name)) this.#adjust();
  }

  async cut(from: string, to: string): Promise<void> {
    this.#cuts.add(way(this.place(from).name, this.place(to).name));
    this.#adjust();
  }

  async heal(from: string, to: string): Promise<void> {
    if (this.#cuts.delete(way(from, to))) this.#adjust();
  }

  async repair(): Promise<void> {
    this.#downs.clear();
    this.#cuts.clear();
    this.#adjust();
  }

  async discard(): Promise<void> {
    process.removeListener('exit', this.#leave);
    this.#leave();
    clearInterval(this.#timer);
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const conduit of this.#conduits) conduit.destroy();
    await Promise.all(closed);
    await this.#callers.close();
  }

  /** Also when somebody ends us. */
  readonly #leave = (): void => {
    for (let i = 0; i < SWEEPS; i++) {
      for (const name of this.places.keys()) signalAll(this.#residents.at(name), 'SIGKILL');
    }
  };

  #publish(place: LoopbackPlace, port: number): Promise<void> {
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    const server = createServer(options, (client) => this.#accept(client, place, port));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        reject(new Error(`the port ${port} is needed of ${place.address} on this machine: ${error.message}`));
      });
      server.listen(port, place.address, resolve);
    });
  }

  #accept(client: Socket, { name, address, listens: host }: LoopbackPlace, port: number): void {
    const conduit = new Conduit({
      ...{ to: name, client },
      dial: () => createConnection({ host, port, allowHalfOpen: true, noDelay: true }),
      over: () => {
        this.#conduits.delete(conduit);
        this.#unknown.delete(conduit);
      },
    });
    const { remoteAddress, remotePort } = client;
    this.#conduits.add(conduit);
    if (remoteAddress !== undefined && remotePort !== undefined) {
      const ends = { client: { address: remoteAddress, port: remotePort }, server: { address, port } };
      this.#unknown.set(conduit, { ...ends, tries: 1 });
    }
    this.#set(conduit);
    if (!this.#isFree(name)) void this.#identify();
  }

  /** Finds out who those are that are not known yet. */
  async #identify(): Promise<void> {
    if (this.#isAsking || this.#unknown.size === 0) return;
    const asked = [...this.#unknown];
    this.#unknown.clear();
    this.#isAsking = true;
    const places = await this.#callers.ask(asked.map(([, ends]) => ends));
    this.#isAsking = false;
    const isUrgent = [...this.#unknown.keys()].some(({ to }) => !this.#isFree(to));
    asked.forEach(([conduit, one], index) => {
      conduit.from = places[index] ?? null;
      this.#set(conduit);
      if (conduit.from === null && this.#conduits.has(conduit) && one.tries < TRIES_MAX)
        this.#unknown.set(conduit, { ...one, tries: one.tries + 1 });
    });
    if (isUrgent) await this.#identify();
  }

  #adjust(): void {
    for (const conduit of this.#conduits) this.#set(conduit);
    void this.#identify();
  }

  /** Who it is takes a while to find out, and doesn't matter where nothing is lost of what anybody sends. */
  #set(conduit: Conduit): void {
    const { from, to } = conduit;
    if (from === null) conduit.set(this.#isFree(to), this.#isFree(to));
    else conduit.set(this.#passes(from, to), this.#passes(to, from));
  }

  #isFree(name: string): boolean {
    return this.#downs.size === 0 && ![...this.#cuts].some((cut) => cut.split(' ').includes(name));
  }

  #passes(from: string, to: string): boolean {
    return from === to || !(this.#downs.has(from) || this.#downs.has(to) || this.#cuts.has(way(from, to)));
  }
}

/** A direction. */
function way(from: string, to: string): string {
  return `${from} ${to}`;
}
