/** Sees to it that no read waits long for another one that shares its pipeline. */
import type { ReadPipeline } from '../session/read-pipeline.js';

/** For so long, in ms, those behind a read wait for it. It was expected to take a tenth of that. */
const PATIENCE_MS = 20;
const NEVER = Number.POSITIVE_INFINITY;

export class PipelineWatch {
  /** Those that are used; few at a time. */
  private readonly running: ReadPipeline[] = [];

  /** It is used from now on. */
  begun(pipeline: ReadPipeline): void {
    this.running.push(pipeline);
  }

  /** All of it has been answered, or nobody waits for it. */
  ended(pipeline: ReadPipeline): void {
    const at = this.running.indexOf(pipeline);
    if (at < 0) throw new Error('invariant: a pipeline that ends is watched');
    const last = this.running.pop() as ReadPipeline;
    if (at < this.running.length) this.running[at] = last;
  }

  /** The end of a turn of the loop. Returns when something is due, in ms. */
  turn(now: number): number {
    let next = NEVER;
    // From behind, since one that is dispersed may leave.
    for (let i = this.running.length - 1; i >= 0; i--) {
      const pipeline = this.running[i];
      if (pipeline?.isWaitedFor !== true) continue;
      const due = pipeline.firstSince + PATIENCE_MS;
      if (now < due) next = Math.min(next, due);
      else pipeline.disperse();
    }
    return next;
  }
}
