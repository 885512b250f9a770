/**
 * What a server says is kept, unread, until it may be said to the client. To everybody else the server has not answered yet:
 * what is dropped has never been seen.
 */
import { FrameReader } from '../../wire/framing.js';
import type { ConnectionId, Io } from '../io.js';
import { HELD_BYTES_MAX } from '../limits.js';

export abstract class HeldAnswers extends FrameReader {
  abstract readonly connection: ConnectionId;
  protected abstract readonly context: { readonly io: Pick<Io, 'pauseReading'> };
  /** It is not read for now: its client can't take more, or what is held is enough. */
  readingPaused = false;
  abstract resumeReading(): void;

  /** From now on, and before it has answered what it is asked next. */
  holdAnswers(): void {
    this.block();
  }

  /** What has been held is read now, and passed on if there is a link. */
  letAnswersGo(): void {
    if (!this.isBlocked) return;
    this.resumeReading();
    this.resume();
  }

  /** More than that stays with the server. */
  protected boundHeldAnswers(): void {
    if (this.heldBytes > HELD_BYTES_MAX) this.pauseForNow();
  }

  protected pauseForNow(): void {
    if (this.readingPaused) return;
    this.readingPaused = true;
    this.context.io.pauseReading(this.connection);
  }
}
