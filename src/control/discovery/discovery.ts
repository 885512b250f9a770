/**
 * Asks one source which nodes there are, again and again, and tells what it says. A source that is silent changes nothing: nodes that
 * were known stay, and tell by themselves what they are.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Report } from '../../core/io.js';
import type { FoundNodes, ManagersWord } from '../../core/route/found-nodes.js';
import type { NodeSettings } from '../../core/settings.js';
import { type Finding, FOUND_NODES_MAX, type NodeSource } from './node-source.js';

/** So long the word about who is the primary counts, once the source is silent. ms. */
const WORD_MS = 10_000;
/** Between two questions, at least: news may come in a storm. ms. */
const PAUSE_MS_MIN = 200;

/** What it has to do with. */
export interface DiscoveryWorld {
  /** A monotonic clock. ms. */
  readonly clock: () => number;
  readonly tell: (found: FoundNodes) => void;
  readonly report: (report: Report) => void;
}

/** What is known of the source, for people. */
export interface DiscoveryStatus {
  /** As the configuration has it. */
  readonly source: string;
  readonly nodes: readonly string[];
  /** Whom it calls the primary; null: it doesn't say. */
  readonly leader: string | null;
  /** How long ago it has answered; null: never. */
  readonly ageMs: number | null;
  /** Why it doesn't answer; null: it does. */
  readonly trouble: string | null;
}

export class Discovery {
  readonly #name: string;
  readonly #source: NodeSource;
  readonly #world: DiscoveryWorld;
  /** Ends the wait for the next question. */
  #waits: AbortController | null = null;
  #isClosed = false;
  #nodes: readonly NodeSettings[] = [];
  #word: ManagersWord | null = null;
  #answeredAt: number | null = null;
  #trouble: string | null = null;

  constructor(name: string, source: NodeSource, world: DiscoveryWorld) {
    this.#name = name;
    this.#source = source;
    this.#world = world;
    void this.#run();
  }

  get status(): DiscoveryStatus {
    return {
      source: this.#name,
      nodes: this.#nodes.map(({ name }) => name),
      leader: this.#word?.leader ?? null,
      ageMs: this.#answeredAt === null ? null : this.#world.clock() - this.#answeredAt,
      trouble: this.#trouble,
    };
  }

  /** What counts at the moment. */
  get finding(): Finding {
    return { nodes: this.#nodes, word: this.#word };
  }

  close(): void {
    this.#isClosed = true;
    this.#waits?.abort();
    this.#source.close();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      await this.#ask();
      if (!this.#isClosed) await this.#untilDue();
    }
  }

  /** Until there are news, or it is time to ask in any case. */
  async #untilDue(): Promise<void> {
    const waits = new AbortController();
    const { signal } = waits;
    this.#waits = waits;
    const due = [pause(this.#source.intervalMs, null, { signal, ref: false }).catch(() => {})];
    if (this.#trouble === null && this.#source.untilNews !== undefined)
      due.push(this.#source.untilNews(signal));
    await Promise.race(due);
    waits.abort();
    await pause(PAUSE_MS_MIN, null, { ref: false });
  }

  async #ask(): Promise<void> {
    try {
      const finding = await this.#source.read();
      if (!this.#isClosed) this.#found(checked(finding));
    } catch (error) {
      if (!this.#isClosed) this.#troubled((error as Error).message);
    }
  }

  #found({ nodes, word }: Finding): void {
    if (this.#trouble !== null) this.#report('info', 'it answers again');
    this.#trouble = null;
    this.#answeredAt = this.#world.clock();
    this.#learn(nodes, word);
  }

  #troubled(message: string): void {
    if (this.#trouble !== message) this.#report('warn', `it can't be asked: ${message}`);
    this.#trouble = message;
    const isOld = this.#answeredAt !== null && this.#world.clock() - this.#answeredAt > WORD_MS;
    if (isOld) this.#learn(this.#nodes, null);
  }

  #learn(nodes: readonly NodeSettings[], word: ManagersWord | null): void {
    const isSame = JSON.stringify([nodes, word]) === JSON.stringify([this.#nodes, this.#word]);
    if (isSame) return;
    const names = nodes.map(({ name }) => name).join(', ');
    if (JSON.stringify(nodes) !== JSON.stringify(this.#nodes)) this.#report('info', `nodes: ${names}`);
    if (word !== null && word.leader !== this.#word?.leader) {
      this.#report('info', `${word.leader} is called the primary`);
    }
    this.#nodes = nodes;
    this.#word = word;
    this.#world.tell({ source: this.#name, nodes, word });
  }

  #report(level: Report['level'], message: string): void {
    const facts = { source: this.#name };
    this.#world.report({ level, event: 'nodes', message: `${this.#name}: ${message}`, facts });
  }
}

/** @throws an answer that can't be meant */
function checked(finding: Finding): Finding {
  const { nodes } = finding;
  if (nodes.length === 0) throw new Error('it knows no node');
  if (nodes.length > FOUND_NODES_MAX)
    throw new Error(
      `it names ${nodes.length} nodes, more than ${FOUND_NODES_MAX}: let nodes_from name a service, labels or a cluster with fewer`,
    );
  const names = new Set(nodes.map(({ name }) => name));
  const places = new Set(nodes.map(({ address }) => JSON.stringify(address)));
  if (names.size < nodes.length || places.size < nodes.length) throw new Error('it names a node twice');
  return finding;
}
