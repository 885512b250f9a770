/** Virtual time: what happens when. Things due at the same moment happen in the order in which they were asked for. */

interface Task {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;
}

/** Takes a planned event back. */
export type CancelTask = () => void;

/** A priority queue of events over a clock that jumps from one to the next. Times are in ms. */
export class Schedule {
  now = 0;
  private readonly heap: Task[] = [];
  private orders = 0;

  after(delayMs: number, run: () => void): CancelTask {
    const task: Task = { at: this.now + Math.max(0, delayMs), order: ++this.orders, run };
    this.heap.push(task);
    this.up(this.heap.length - 1);
    return () => {
      task.run = null;
    };
  }

  /** When the next event is due; null when nothing is planned. */
  get nextAt(): number | null {
    while (this.heap.length > 0 && this.heap[0]!.run === null) this.pop();
    return this.heap.length === 0 ? null : this.heap[0]!.at;
  }

  /** Moves the clock to the next event and runs it. False when there is none. */
  runNext(): boolean {
    if (this.nextAt === null) return false;
    const task = this.pop();
    this.now = task.at;
    task.run!();
    return true;
  }

  private pop(): Task {
    const first = this.heap[0]!;
    const last = this.heap.pop()!;
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.down(0);
    }
    return first;
  }

  private up(index: number): void {
    let at = index;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(at, parent)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private down(index: number): void {
    let at = index;
    for (;;) {
      const left = 2 * at + 1;
      let least = at;
      if (left < this.heap.length && this.before(left, least)) least = left;
      if (left + 1 < this.heap.length && this.before(left + 1, least)) least = left + 1;
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }

  private before(a: number, b: number): boolean {
    const x = this.heap[a]!;
    const y = this.heap[b]!;
    return x.at < y.at || (x.at === y.at && x.order < y.order);
  }

  private swap(a: number, b: number): void {
    const x = this.heap[a]!;
    this.heap[a] = this.heap[b]!;
    this.heap[b] = x;
  }
}
