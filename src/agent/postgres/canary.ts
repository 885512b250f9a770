/**
 * Whether a primary gets anything to its disk. Where clients write that shows by itself; where they don't, a tiny write of
 * our own does it, which waits for no standby.
 */
import type { Server } from './server.js';

const CHECK_MS = 1_000;

export class Canary {
  readonly #server: Server;
  readonly #onWedged: () => void;
  readonly #timer: NodeJS.Timeout;
  #flushed = -1;
  #progressAt = performance.now();
  #checkedAt = performance.now();
  #isUnderWay = false;

  constructor(server: Server, onWedged: () => void) {
    this.#server = server;
    this.#onWedged = onWedged;
    this.#timer = setInterval(() => this.#check(), CHECK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** So far is on the disk. */
  note(flushed: number): void {
    if (flushed !== this.#flushed) this.#progressAt = performance.now();
    this.#flushed = flushed;
  }

  #check(): void {
    const now = performance.now();
    // Time in which we stood still ourselves is no evidence.
    const stoodStill = Math.max(0, now - this.#checkedAt - 2 * CHECK_MS);
    this.#progressAt = Math.min(now, this.#progressAt + stoodStill);
    this.#checkedAt = now;
    const silence = now - this.#progressAt;
    if (silence > this.#server.settings.canaryMs) this.#onWedged();
    else if (silence >= CHECK_MS && !this.#isUnderWay) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isUnderWay = true;
    try {
      const options = { patienceMs: 2 * this.#server.settings.canaryMs };
      const sql = `SELECT pg_logical_emit_message(true, 'sluice', 'canary')`;
      await this.#server.withConnection(options, (client) => client.query(sql));
      this.#progressAt = performance.now();
    } catch (error) {
      // A server that says why it can't has not fallen silent.
      if (typeof (error as { code?: unknown }).code === 'string' && !isLost(error))
        this.#progressAt = performance.now();
    } finally {
      this.#isUnderWay = false;
    }
  }
}

/** A failure of the connection, or of the disk (class 58; 53100 is a full one). */
function isLost(error: unknown): boolean {
  const { code } = error as { code: string };
  return !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('58') || code === '53100';
}
