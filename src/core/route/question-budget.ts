/**
 * How much the control plane may be asked about statements of one database. A long text takes its parser a tenth of a second, in
 * which it does nothing else: so there are bounds on what waits there, and on what comes in a second.
 */
import {
  STATEMENT_QUESTION_BYTES_MAX,
  STATEMENT_QUESTION_BYTES_PER_S,
  STATEMENT_QUESTIONS_MAX,
} from '../limits.js';

const MS_PER_S = 1000;
/** How many seconds' worth may come at once. */
const BURST_S = 2;
const BYTES_MAX = BURST_S * STATEMENT_QUESTION_BYTES_PER_S;

export class QuestionBudget {
  private asking = 0;
  private askingBytes = 0;
  private left = BYTES_MAX;
  private at = 0;

  /** Whether a text of so many bytes may be asked about now (in ms). A single one may be as long as it likes. */
  admits(bytes: number, now: number): boolean {
    this.left = Math.min(
      BYTES_MAX,
      this.left + ((now - this.at) / MS_PER_S) * STATEMENT_QUESTION_BYTES_PER_S,
    );
    this.at = now;
    if (this.asking === STATEMENT_QUESTIONS_MAX || this.left < bytes) return false;
    return this.asking === 0 || this.askingBytes + bytes <= STATEMENT_QUESTION_BYTES_MAX;
  }

  asked(bytes: number): void {
    this.asking += 1;
    this.askingBytes += bytes;
    this.left -= bytes;
  }

  answered(bytes: number): void {
    this.asking -= 1;
    this.askingBytes -= bytes;
  }
}
