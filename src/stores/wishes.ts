/** What operators ask of a cluster, written into its store; and the history of what has happened. */
import { type ClusterEvent, HISTORY, withEvent } from '../cluster/history.js';
import { type ClusterView, CONTROL, type Control, understand } from '../cluster/records.js';
import type { StoreView } from '../cluster/store-view.js';
import { type Store, StoreError } from './store.js';

/** Attempts when others change the same value at the same time. */
const ATTEMPTS = 5;

/** A wish that can't be fulfilled as things are. `advice` says what to do instead. */
export class WishRefused extends Error {
  readonly advice: string;

  constructor(message: string, advice: string) {
    super(message);
    this.name = 'WishRefused';
    this.advice = advice;
  }
}

/** What was written, and what it was judged by. */
export interface Wish {
  readonly view: ClusterView;
  readonly control: Control;
}

/**
 * Asks the leader of the term in force to hand over. Null: to any standby that has everything.
 * @throws {WishRefused} if nobody could obey
 */
export function askSwitchover(store: Store, to: string | null): Promise<Wish> {
  return change(store, (view, control) => {
    refuseSwitchover(view, to);
    return { ...control, switchover: { term: view.term, to } };
  });
}

/** Takes back a switchover that was asked for in this term. */
export function callOffSwitchover(store: Store, term: number): Promise<Wish> {
  return change(store, (_, control) =>
    control.switchover?.term === term ? { ...control, switchover: null } : control,
  );
}

/**
 * Nobody leads, and this node shall, whatever is lost by it.
 * @throws {WishRefused} if somebody leads, or the node can't be elected
 */
export function askFailover(store: Store, to: string): Promise<Wish> {
  return change(store, (view, control) => {
    if (view.leader !== null) {
      throw new WishRefused(
        `${leaderName(view)} leads`,
        'A failover is for a cluster that nobody leads. Use "sluice switchover", which loses nothing.',
      );
    }
    if (view.epoch === null) {
      throw new WishRefused(
        'this cluster has never had a primary',
        'Its first node has to say "bootstrap: initdb".',
      );
    }
    const member = view.members.get(to);
    if (member === undefined) throw unknownNode(view, to);
    return { ...control, failover: { afterTerm: view.term, to } };
  });
}

/** Maintenance begins or ends. */
export function setPaused(store: Store, paused: boolean): Promise<Wish> {
  return change(store, (_, control) => ({ ...control, paused }));
}

/** Who leads, by the name of its node; null: nobody. */
export function leaderName({ leader }: Pick<ClusterView, 'leader'>): string | null {
  return leader === null ? null : leader.holder.slice(0, leader.holder.lastIndexOf('/'));
}

/** Adds an event to the history in the store. Rejects only if the store fails. */
export async function recordEvent(store: Store, event: ClusterEvent): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const stored = (await store.read()).values.get(HISTORY);
    const text = withEvent(stored?.text, event);
    if ((await store.publish(HISTORY, text, { version: stored?.version ?? 0 })) !== null) return;
  }
}

/** @throws {StoreError} if something in the view is not understood */
export function understood(view: StoreView): ClusterView {
  const cluster = understand(view);
  if (cluster !== null) return cluster;
  throw new StoreError(
    'protocol',
    'the store holds records of this cluster that this version does not understand',
  );
}

async function change(store: Store, wanted: (view: ClusterView, control: Control) => Control): Promise<Wish> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const stored = await store.read();
    const view = understood(stored);
    const control = wanted(view, view.control);
    const version = stored.values.get(CONTROL)?.version ?? 0;
    if ((await store.publish(CONTROL, JSON.stringify(control), { version })) !== null)
      return { view, control };
  }
  throw new WishRefused('others change the same record all the time', 'Try again.');
}

function refuseSwitchover(view: ClusterView, to: string | null): void {
  const leader = leaderName(view);
  if (leader === null) {
    throw new WishRefused(
      'nobody leads, so nobody can hand over',
      '"sluice status" says what the cluster waits for.',
    );
  }
  if (view.control.paused)
    throw new WishRefused('the cluster is paused', 'Let it go on first: sluice resume');
  if (view.epoch === null || view.epoch.term !== view.term) {
    throw new WishRefused(`${leader} has only just been elected`, 'Try again in a moment.');
  }
  const { rule } = view.epoch;
  const able = [...view.members].filter(
    ([name, { priority, state }]) =>
      name !== leader &&
      priority > 0 &&
      state === 'following' &&
      (rule.quorum === 0 || rule.standbys.includes(name)),
  );
  const names = able.map(([name]) => name).join(', ');
  const others = names === '' ? 'No standby can at the moment.' : `Those that can at the moment: ${names}.`;
  if (to === null) {
    if (able.length === 0) {
      throw new WishRefused('no standby can take over', '"sluice status" says how each of them is.');
    }
    return;
  }
  if (to === leader) throw new WishRefused(`${to} leads already`, others);
  const member = view.members.get(to);
  if (member === undefined) throw unknownNode(view, to);
  if (member.priority === 0) throw new WishRefused(`${to} never leads (nofailover)`, others);
  if (!able.some(([name]) => name === to)) {
    throw new WishRefused(`${to} can't take over: it may lack commits, or does not follow ${leader}`, others);
  }
}

function unknownNode(view: ClusterView, to: string): WishRefused {
  return new WishRefused(
    `there is no node ${JSON.stringify(to)} at the moment`,
    `There are: ${[...view.members.keys()].join(', ') || 'none'}.`,
  );
}
