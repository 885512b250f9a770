/** The last of what the gateway has seen happen to its nodes and clusters, for `SHOW EVENTS`. */
import type { NodeEvent, Report } from '../core/io.js';

/** Older ones are forgotten. */
export const EVENTS_MAX = 1000;

/** What happened, and when. */
export interface GatewayEvent {
  /** By the wall clock. */
  readonly at: Date;
  readonly event: NodeEvent;
  /** The database or the cluster that it concerns. */
  readonly concerns: string;
  readonly message: string;
}

export class EventLog {
  #events: GatewayEvent[] = [];

  /** The oldest first. */
  get events(): readonly GatewayEvent[] {
    return this.#events;
  }

  /** Keeps a report that is an event. */
  note({ event, message, facts }: Report): void {
    if (event === undefined) return;
    const concerns = String(facts?.database ?? facts?.cluster ?? '');
    this.#events.push({ at: new Date(), event, concerns, message });
    if (this.#events.length > EVENTS_MAX) this.#events = this.#events.slice(-EVENTS_MAX);
  }
}
