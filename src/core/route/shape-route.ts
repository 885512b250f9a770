/** What is known of the statements of one shape, and what has become of them. */
import { LatencyHistogram } from '../latency-histogram.js';
import type { ShapeFacts, TransactionModes } from './route-questions.js';

/** Percentiles of fewer calls would mean nothing, and a histogram takes a kilobyte. */
const HISTOGRAM_CALLS_MIN = 20;

/** Before so many calls nothing is expected of the next one. */
const EXPECTED_CALLS_MIN = 8;
/** The newest call makes up one part in so many of what is expected. */
const AVERAGE_PARTS = 16;
const NEVER = Number.POSITIVE_INFINITY;

/** Sums since the shape is known. */
export class ShapeStatistics {
  /** How often it was sent to the primary because of what it is, or because no standby could serve it. */
  onPrimary = 0;
  onStandby = 0;
  /** How often it was run again on the primary. */
  rerouted = 0;
  /** That standbys have answered. */
  rows = 0;
  /** On standbys, together. */
  standbyMs = 0;
  /** Null until there have been some. */
  latency: LatencyHistogram | null = null;

  /** How long a standby is likely to be at one, in ms; infinite as long as there have been few. */
  expectedMs = NEVER;
  private averageMs = 0;

  /** A standby has carried one out, in so many ms; `ownMs`: without what it was at before. */
  ranOnStandby(ms: number, ownMs: number): void {
    this.averageMs += (ownMs - this.averageMs) / Math.min(this.onStandby + 1, AVERAGE_PARTS);
    if (this.onStandby >= EXPECTED_CALLS_MIN) this.expectedMs = this.averageMs;
    this.onStandby += 1;
    this.standbyMs += ms;
    if (this.latency !== null) this.latency.add(ms);
    else if (this.onStandby >= HISTOGRAM_CALLS_MIN) this.latency = new LatencyHistogram();
  }
}

/** Kept by whoever has prepared a statement, and asked for again when it isn't valid any more. */
export class ShapeRoute {
  readonly kind: ShapeFacts['kind'];
  /** See {@link ShapeFacts.mayRunOnStandby}. */
  mayRunOnStandby: boolean;
  /** Why, in words: a whole sentence without its stop. */
  reason: string;
  /** Of a `begin`: what it says itself. */
  readonly transaction: TransactionModes | null;
  readonly changesCatalogue: boolean;
  /** Without comments and constants. */
  readonly text: string;
  /** Of the sessions for which this is known; null: it isn't known. */
  readonly path: string | null;
  readonly statistics: ShapeStatistics;
  /** False: what it names may be another thing by now. */
  isValid = true;
  /** It isn't valid, and the control plane has been asked. */
  isAsked = false;
  /** See {@link KnownShape.leavesNothing}. */
  leavesNothing: boolean | null = null;

  constructor(facts: ShapeFacts, path: string | null, statistics: ShapeStatistics) {
    this.kind = facts.kind;
    this.mayRunOnStandby = facts.mayRunOnStandby;
    this.reason = facts.reason;
    this.transaction = facts.transaction;
    this.changesCatalogue = facts.changesCatalogue;
    this.text = facts.text;
    this.path = path;
    this.statistics = statistics;
  }

  /**
   * A standby has refused one that the primary has then carried out: it goes there from now on, until the catalogue says
   * something else.
   *
   * @param code the standby's SQLSTATE; its message may have to do with that client alone, and others see the reason
   */
  refused(code: string): void {
    this.mayRunOnStandby = false;
    this.reason = `a standby has refused it with SQLSTATE ${code}`;
  }
}
