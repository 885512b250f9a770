/**
 * The API server has no clock that a Lease could run out by, so each observer uses its own: a Lease has run out when it has been
 * seen without a renewal for as long as it lasts, and the allowance for clocks more (cluster/lease-time.ts). That counts from
 * when the last renewal was *seen*, which is after it has arrived.
 */
import { leaseTimes } from '../../cluster/lease-time.js';

/** How often is looked for Leases that were not there before. ms. */
const LOOK_MS = 200;

interface Sighting {
  readonly sign: string;
  readonly since: number;
  readonly durationMs: number;
}

/** What one program has seen of the Leases of a cluster. */
export class ObservedLeases {
  readonly #clock: () => number;
  #sightings = new Map<string, Sighting>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** @param sign differs after each renewal */
  see(name: string, sign: string, durationMs: number): void {
    const seen = this.#sightings.get(name);
    if (seen?.sign === sign && seen.durationMs === durationMs) return;
    this.#sightings.set(name, { sign, since: this.#clock(), durationMs });
  }

  /** Whether it has run out, as it was with this sign. */
  hasRunOut(name: string, sign: string): boolean {
    const seen = this.#sightings.get(name);
    return seen !== undefined && seen.sign === sign && this.#remainingMs(seen) <= 0;
  }

  /** Those that are there no more are forgotten. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#sightings.keys()) if (!names.has(name)) this.#sightings.delete(name);
  }

  /** It is held by nobody, and can't run out. */
  forget(name: string): void {
    this.#sightings.delete(name);
  }

  /** How many have run out, and are still there. */
  get runOut(): number {
    return [...this.#sightings.values()].filter((seen) => this.#remainingMs(seen) <= 0).length;
  }

  /** In how many ms the next of them will have run out; infinite: none will. */
  get nextMs(): number {
    const all = [...this.#sightings.values()].map((seen) => this.#remainingMs(seen));
    return Math.min(...all.filter((ms) => ms > 0));
  }

  #remainingMs({ since, durationMs }: Sighting): number {
    return since + leaseTimes(durationMs).takeoverMs - this.#clock();
  }
}

/** Tells when another one has run out, however often they are renewed until then. */
export class Expiry {
  readonly #observed: ObservedLeases;
  readonly #before: number;
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(observed: ObservedLeases) {
    this.#observed = observed;
    this.#before = observed.runOut;
    this.#look();
  }

  /** Aborted when it has. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    if (this.#observed.runOut > this.#before) return this.#over.abort();
    const waitMs = Math.min(Math.ceil(this.#observed.nextMs), LOOK_MS);
    this.#timer = setTimeout(() => this.#look(), waitMs);
  }
}
