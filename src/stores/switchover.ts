/** A switchover from the wish to its end, as whoever asks for it sees it in the store. */
import { type ClusterView, understand } from '../cluster/records.js';
import type { StoreView } from '../cluster/store-view.js';
import type { Store } from './store.js';
import { askSwitchover, callOffSwitchover, leaderName, recordEvent } from './wishes.js';

/** How it has ended. */
export interface SwitchoverOutcome {
  readonly isDone: boolean;
  readonly from: string;
  /** Who leads now. */
  readonly leader: string | null;
  /** From when the old primary let no transaction begin to when the new one did, as it was seen from here. ms. */
  readonly pauseMs: number | null;
}

/**
 * Asks for it and waits for its end, for so long at most; then the wish is taken back.
 * @param onStep gets sentences like `db1 lets running transactions end`
 * @throws {WishRefused} if nobody could obey
 */
export async function followSwitchover(
  store: Store,
  to: string | null,
  limitMs: number,
  onStep: (step: string, view: StoreView) => void,
): Promise<SwitchoverOutcome> {
  const asked = await askSwitchover(store, to);
  const term = asked.view.term;
  const from = leaderName(asked.view) as string;
  const text = `an operator asks ${from} to hand over to ${to ?? 'a standby'}`;
  const at = new Date().toISOString();
  recordEvent(store, { at, node: to, term, what: 'switchover asked', text }).catch(() => {});
  const course = new Course(from, term);
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(limit);
      watch.close();
      resolve();
    };
    const limit = setTimeout(end, limitMs);
    const watch = store.watch(
      (view) => {
        const step = course.note(understand(view));
        if (step !== null) onStep(step, view);
        if (course.isDone) end();
      },
      () => {},
    );
  });
  if (!course.isDone) await callOffSwitchover(store, term);
  const { isDone, leader, pauseMs } = course;
  return { isDone, from, leader, pauseMs };
}

/** What was seen of it. */
class Course {
  readonly #from: string;
  readonly #term: number;
  #heldAt: number | null = null;
  #step = '';
  leader: string | null;
  pauseMs: number | null = null;
  isDone = false;

  constructor(from: string, term: number) {
    this.#from = from;
    this.#term = term;
    this.leader = from;
  }

  /** A new step, or null. */
  note(view: ClusterView | null): string | null {
    if (view === null) return null;
    this.leader = leaderName(view);
    const state = this.leader === null ? null : (view.members.get(this.leader)?.state ?? null);
    const isNew = view.term > this.#term;
    if (!isNew && state !== 'leading') this.#heldAt ??= performance.now();
    if (isNew && state === 'leading') {
      this.isDone = true;
      this.pauseMs = this.#heldAt === null ? null : Math.round(performance.now() - this.#heldAt);
    }
    const step = this.#stepOf(state, isNew);
    if (step === this.#step) return null;
    this.#step = step;
    return step;
  }

  #stepOf(state: string | null, isNew: boolean): string {
    if (isNew) return `${this.leader ?? 'a standby'} takes over`;
    if (this.leader === null) return 'standbys say how far they are';
    if (state === 'draining') return `${this.#from} lets running transactions end`;
    if (state === 'yielding') return `${this.#from} stops its PostgreSQL`;
    return `${this.#from} is asked`;
  }
}
