/**
 * When to look whether something has changed that others may change, and that may be suspected to have. All times in ms.
 *
 * A change that was suspected may not be committed yet, so that one look is not enough: there are several, each after four
 * times as long as the one before, up to the period in which what nobody has noticed is found. Where suspicions come all the
 * time and are wrong (temporary tables, procedures that change no definition) the looks become rarer.
 */
import {
  CATALOGUE_MS_MAX,
  CATALOGUE_MS_MIN,
  CATALOGUE_PATIENCE_MS_MAX,
  CATALOGUE_REST_FACTOR,
  CATALOGUE_RETRY_MS_MAX,
} from '../limits.js';

const GROWTH = 4;
const RETRY_MS_MIN = 100;
/** Without a look for so long, suspicions are taken seriously again. */
const CALM_MS = 2 * CATALOGUE_PATIENCE_MS_MAX;

export class LookSchedule {
  /** When to look. */
  dueAt = 0;
  /** When the last look ended that has succeeded; null: none has. */
  succeededAt: number | null = null;
  /** The shortest time between two looks, by how long they take. */
  private restMs = CATALOGUE_MS_MIN;
  /** The shortest time between two, by how many suspicions were wrong. */
  private patienceMs = CATALOGUE_MS_MIN;
  /** The time between the next two. */
  private intervalMs = CATALOGUE_MS_MIN;
  private retryMs = RETRY_MS_MIN;

  suspected(now: number): void {
    const last = this.succeededAt;
    if (last === null) return;
    if (now > last + CALM_MS) this.patienceMs = CATALOGUE_MS_MIN;
    this.intervalMs = Math.max(this.restMs, this.patienceMs);
    this.dueAt = Math.min(this.dueAt, last + this.intervalMs);
  }

  /** @param tookMs how long the question alone took */
  succeeded(now: number, tookMs: number, hasChanged: boolean): void {
    this.succeededAt = now;
    this.retryMs = RETRY_MS_MIN;
    this.restMs = Math.max(CATALOGUE_MS_MIN, tookMs * CATALOGUE_REST_FACTOR);
    this.patienceMs = hasChanged
      ? CATALOGUE_MS_MIN
      : Math.min(CATALOGUE_PATIENCE_MS_MAX, this.patienceMs * 2);
    this.dueAt = now + Math.max(this.restMs, this.intervalMs);
    this.intervalMs = Math.min(CATALOGUE_MS_MAX, this.intervalMs * GROWTH);
  }

  failed(now: number): void {
    this.dueAt = now + this.retryMs;
    this.retryMs = Math.min(CATALOGUE_RETRY_MS_MAX, this.retryMs * 2);
  }
}
