/** What is known of the lists and of what clients were told about them, and what must not have happened. */
import type { Consistency } from '../../src/core/settings.js';
import type { ModelCluster } from './model-cluster.js';

/** What came of a write, as its client was told. */
export type Outcome = 'acknowledged' | 'failed' | 'unknown';

/** A statement that a client has sent. */
export interface Asked {
  readonly token: string;
  readonly list: number;
  readonly what: 'read' | 'write' | 'hidden write';
  /** Of a read. */
  readonly consistency: Consistency;
  readonly at: number;
  /** Its client may have a server connection: for a transaction, or while it is asked what the session holds. */
  readonly mayHaveLink: boolean;
  /** What everybody knew to be in the list when it was sent. */
  readonly known: readonly string[];
}

interface Acknowledged {
  readonly token: string;
  readonly at: number;
}

export class ListLedger {
  /** The first thing that must not have happened. The run ends with it. */
  violation: string | null = null;
  shuttingDown = false;
  /** The newest term of which the gateway has heard; 0: none. */
  knownTerm = 0;
  /** Until when what it has heard may be believed, in ms, and whether that lets nobody begin a transaction. */
  believedUntil = Number.POSITIVE_INFINITY;
  isHeld = false;
  /** What has been sent to server connections that were gone, as nobody could know. */
  blindSends = 0;
  /** How often what has happened. */
  readonly counts = {
    answered: 0,
    reads: 0,
    acknowledged: 0,
    failed: 0,
    unknown: 0,
    elections: 0,
    switchovers: 0,
    lostToClients: 0,
    noPrimary: 0,
  };
  /** Set when the cluster is there. */
  cluster!: ModelCluster;
  private readonly asked = new Map<string, Asked>();
  private readonly handedOver = new Set<string>();
  private readonly outcomes = new Map<string, Outcome>();
  private readonly acknowledged = new Map<number, Acknowledged[]>();
  private readonly writeTrace: ((line: string) => void) | null;

  constructor(writeTrace: ((line: string) => void) | null) {
    this.writeTrace = writeTrace;
  }

  trace(line: () => string): void {
    this.writeTrace?.(line());
  }

  fail(what: string): void {
    this.trace(() => `VIOLATION: ${what}`);
    this.violation ??= what;
  }

  // --- What clients ask ---------------------------------------------------------------------------------------

  ask(asked: Omit<Asked, 'known'>): void {
    const known = (this.acknowledged.get(asked.list) ?? []).map(({ token }) => token);
    this.asked.set(asked.token, { ...asked, known });
  }

  find(token: string): Asked | undefined {
    return this.asked.get(token);
  }

  /** The gateway has sent it to a node. @param primary whom it takes for the primary; null: nobody */
  handOver(token: string, node: string, primary: string | null): void {
    this.handedOver.add(token);
    const asked = this.asked.get(token);
    if (asked?.what !== 'write') return;
    if (asked.mayHaveLink) return;
    if (primary !== null && primary !== node) {
      this.fail(`${token}, a write, is sent to ${node}, though ${primary} is the primary`);
    }
  }

  wasHandedOver(token: string): boolean {
    return this.handedOver.has(token);
  }

  // --- What they are told -------------------------------------------------------------------------------------

  /** The gateway has sent its client the answer that says so; nobody has seen it yet. */
  acknowledges(token: string): void {
    const place = this.cluster.placeOf(token);
    if (place === undefined) return this.fail(`${token} was acknowledged, and is nowhere`);
    if (place.term < this.knownTerm) {
      this.fail(
        `${token} was acknowledged for ${place.name}, of term ${place.term}, though term ${this.knownTerm} was known`,
      );
    }
  }

  /** The client knows. */
  tell(token: string, outcome: Outcome, at: number): void {
    const asked = this.asked.get(token);
    if (asked === undefined || this.outcomes.has(token)) return;
    this.outcomes.set(token, outcome);
    this.counts[outcome] += 1;
    if (outcome === 'failed') this.checkFailed(token);
    if (outcome !== 'acknowledged') return;
    const list = this.acknowledged.get(asked.list) ?? [];
    list.push({ token, at });
    this.acknowledged.set(asked.list, list);
  }

  private checkFailed(token: string): void {
    if (this.cluster.placeOf(token) !== undefined) {
      this.fail(`${token} was committed, and its client told that nothing was`);
    }
  }

  // --- What they read -----------------------------------------------------------------------------------------

  /**
   * The answer to a read is as it must be.
   * @param written what its client has written before
   * @param met what it has read before
   */
  checkRead(
    asked: Asked,
    items: readonly string[],
    written: ReadonlySet<string>,
    met: ReadonlySet<string>,
    staleMs: number,
  ): void {
    this.counts.reads += 1;
    const seen = new Set(items);
    if (seen.size < items.length) this.fail(`${asked.token} shows something twice: ${items}`);
    for (const item of items) {
      if (this.outcomes.get(item) === 'failed')
        this.fail(`${asked.token} shows ${item}, whose client was told that it failed`);
    }
    const missing = this.mustShow(asked, written, met, staleMs).find(
      (token) => !seen.has(token) && this.cluster.lasts(token),
    );
    if (missing !== undefined) {
      this.fail(
        `${asked.token} (${asked.consistency}) doesn't show ${missing}, but ${items.join() || 'nothing'}`,
      );
    }
  }

  private mustShow(
    { consistency, known, list, at }: Asked,
    written: ReadonlySet<string>,
    met: ReadonlySet<string>,
    staleMs: number,
  ): readonly string[] {
    if (consistency === 'eventual') return [];
    // A standby may show a commit that the primary doesn't show yet, since it waits for standbys.
    if (consistency === 'session')
      return [...this.ofList(written, list), ...known.filter((it) => met.has(it))];
    if (consistency !== 'bounded') return [...known, ...this.ofList(written, list)];
    const old = (this.acknowledged.get(list) ?? []).filter((item) => item.at < at - staleMs);
    return old.map(({ token }) => token);
  }

  private ofList(tokens: ReadonlySet<string>, list: number): string[] {
    return [...tokens].filter((token) => this.asked.get(token)?.list === list);
  }

  /** At the end: who was told that nothing was done has had nothing done, later neither. */
  checkEnd(): void {
    for (const [token, outcome] of this.outcomes) if (outcome === 'failed') this.checkFailed(token);
  }
}
