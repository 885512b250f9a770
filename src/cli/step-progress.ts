/**
 * Shows the progress of long work. On a terminal, the step under way is one line that keeps moving; elsewhere, lines
 * are printed one after the other, and a step that takes long says so every second.
 */
import type { Progress } from '../agent/progress.js';

/** What is needed of a terminal or another stream. */
export interface ProgressOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;
/** Below a second, with some reserve: nobody should have to wonder whether it still lives. */
const REMINDER_MS = 900;
const DEFAULT_COLUMNS = 80;
const CLEAR_LINE = '\r\x1b[2K';

export interface StepProgress extends Progress {
  /** Ends a step that will not come to its end, and everything that moves. */
  close(): void;
}

/** `now` is a monotonic clock in ms; elapsed times count from the call. */
export function createStepProgress(
  output: ProgressOutput,
  now: () => number = () => performance.now(),
): StepProgress {
  return output.isTTY === true ? new MovingLine(output, now) : new PlainLines(output, now);
}

class PlainLines implements StepProgress {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  readonly #startedAt: number;
  #detail = '';
  #reminder: NodeJS.Timeout | undefined;

  constructor(output: ProgressOutput, now: () => number) {
    this.#output = output;
    this.#now = now;
    this.#startedAt = now();
  }

  begin(step: string): void {
    this.close();
    this.#line(`${step} ...`);
    this.#reminder = setInterval(() => this.#line(`... still ${step}${this.#detail}`), REMINDER_MS);
  }

  detail(text: string): void {
    this.#detail = ` (${text})`;
  }

  end(result: string): void {
    this.close();
    this.#line(result);
  }

  note(text: string): void {
    this.#line(text);
  }

  close(): void {
    clearInterval(this.#reminder);
    this.#detail = '';
  }

  #line(text: string): void {
    this.#output.write(`[${seconds(this.#now() - this.#startedAt).padStart(7)}] ${text}\n`);
  }
}

class MovingLine implements StepProgress {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  #step: string | null = null;
  #stepStartedAt = 0;
  #detail = '';
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(output: ProgressOutput, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  begin(step: string): void {
    // Steps that prepare a result (cloning, starting) replace each other on the line.
    if (this.#step === null) this.#stepStartedAt = this.#now();
    clearInterval(this.#timer);
    this.#step = step;
    this.#detail = '';
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
  }

  detail(text: string): void {
    this.#detail = ` ${text}`;
  }

  end(result: string): void {
    const took = this.#step === null ? '' : `  ${seconds(this.#now() - this.#stepStartedAt)}`;
    this.close();
    this.#output.write(`✓ ${result}${took}\n`);
  }

  note(text: string): void {
    this.#output.write(`${this.#step === null ? '' : CLEAR_LINE}· ${text}\n`);
    if (this.#step !== null) this.#draw();
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#step !== null) this.#output.write(CLEAR_LINE);
    this.#step = null;
    this.#detail = '';
  }

  #draw(): void {
    const frame = FRAMES[this.#frame++ % FRAMES.length];
    const elapsed = seconds(this.#now() - this.#stepStartedAt);
    const line = `${frame} ${this.#step}${this.#detail}  ${elapsed}`;
    // A line that wraps can't be drawn over.
    const columns = this.#output.columns ?? DEFAULT_COLUMNS;
    this.#output.write(`${CLEAR_LINE}${line.slice(0, Math.max(1, columns - 1))}`);
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
