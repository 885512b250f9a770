/**
 * The requests that a server connection has not answered yet, oldest first. Answers come in the same order, so the
 * head says what the next answer belongs to and what becomes of it.
 *
 * A request is one byte (its kind and what to do with its answer) and, for the few that need one, a detail.
 */

/** Kinds: which answer ends the request. */
export const QUERY = 1; // ReadyForQuery
export const FUNCTION_CALL = 2; // ReadyForQuery
export const SYNC = 3; // ReadyForQuery
export const PARSE = 4; // ParseComplete
export const PARSE_UNNAMED = 5; // ParseComplete
export const BIND = 6; // BindComplete
export const DESCRIBE = 7; // RowDescription or NoData
export const EXECUTE = 8; // CommandComplete, EmptyQueryResponse or PortalSuspended
export const CLOSE = 9; // CloseComplete
/** The client has ended COPY FROM STDIN here. No answer of its own: it goes with its predecessor. */
export const COPY_END = 10;

/** The kinds' names, for reports. */
export const NAMES: readonly string[] = [
  ...[
    '',
    'Query',
    'FunctionCall',
    'Sync',
    'Parse',
    'Parse (unnamed)',
    'Bind',
    'Describe',
    'Execute',
    'Close',
  ],
  'CopyDone or CopyFail',
];

export const KIND_MASK = 0x0f;
/** The request is ours: its answer is not passed on. */
export const SWALLOWED = 0x10;
/** The request was not sent: when its turn comes the gateway makes the answer. */
export const SYNTHETIC = 0x20;

const CAPACITY_MIN = 16;

/** A queue over two rings that grow by doubling. `D` is the type of the details. */
export class RequestQueue<D> {
  private kinds = new Uint8Array(CAPACITY_MIN);
  /** Allocated when the first detail comes: most connections never have one. */
  private details: (D | null)[] | null = null;
  private head = 0;
  private count = 0;

  get length(): number {
    return this.count;
  }

  /** Kind and flags of the oldest request; 0 when there is none. */
  get first(): number {
    return this.count === 0 ? 0 : this.kinds[this.head]!;
  }

  get firstDetail(): D | null {
    return this.details === null || this.count === 0 ? null : this.details[this.head]!;
  }

  /** All requests, oldest first. */
  *entries(): Generator<[request: number, detail: D | null]> {
    for (let i = 0; i < this.count; i++) {
      const at = (this.head + i) & (this.kinds.length - 1);
      yield [this.kinds[at]!, this.details === null ? null : this.details[at]!];
    }
  }

  push(request: number, detail: D | null = null): void {
    if (this.count === this.kinds.length) this.grow();
    const at = (this.head + this.count) & (this.kinds.length - 1);
    this.kinds[at] = request;
    if (detail !== null && this.details === null) {
      this.details = new Array<D | null>(this.kinds.length).fill(null);
    }
    if (this.details !== null) this.details[at] = detail;
    this.count += 1;
  }

  shift(): void {
    if (this.count === 0) throw new Error('invariant: shift of an empty request queue');
    if (this.details !== null) this.details[this.head] = null;
    this.head = (this.head + 1) & (this.kinds.length - 1);
    this.count -= 1;
  }

  /**
   * Removes the SYNC requests that lie between the head and the first COPY_END: the server reads them in copy-in
   * mode and ignores them (protocol chapter, "COPY Operations"). `ended` says whether there is a COPY_END.
   */
  dropSyncsBeforeCopyEnd(): { dropped: number; ended: boolean } {
    const kept: { request: number; detail: D | null }[] = [];
    let dropped = 0;
    let ended = false;
    while (this.count > 0) {
      const request = this.first;
      const detail = this.firstDetail;
      this.shift();
      if (request === COPY_END) ended = true;
      if (!ended && kept.length > 0 && request === SYNC) dropped += 1;
      else kept.push({ request, detail });
    }
    for (const { request, detail } of kept) this.push(request, detail);
    return { dropped, ended };
  }

  /** Removes the oldest COPY_END: the copy that it ended is over, though its request may not be. */
  dropCopyEnd(): void {
    let dropped = false;
    for (let left = this.count; left > 0; left--) {
      const request = this.first;
      const detail = this.firstDetail;
      this.shift();
      if (dropped || request !== COPY_END) this.push(request, detail);
      else dropped = true;
    }
  }

  private grow(): void {
    const kinds = new Uint8Array(this.kinds.length * 2);
    const details = this.details === null ? null : new Array<D | null>(kinds.length).fill(null);
    for (let i = 0; i < this.count; i++) {
      const from = (this.head + i) & (this.kinds.length - 1);
      kinds[i] = this.kinds[from]!;
      if (details !== null) details[i] = this.details![from]!;
    }
    this.kinds = kinds;
    this.details = details;
    this.head = 0;
  }
}
