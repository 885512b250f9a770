/** What happens when: true time, which no clock of the simulated world shows. */

interface Item {
  readonly at: number;
  readonly order: number;
  readonly work: () => void;
}

/** A queue of work by time; of the same time, first in, first out. */
export class Agenda {
  /** ms since the world's beginning. */
  now = 0;
  done = 0;
  readonly #heap: Item[] = [];
  #orders = 0;

  in(delayMs: number, work: () => void): void {
    this.#push({ at: this.now + Math.max(0, delayMs), order: this.#orders++, work });
  }

  /** Does everything until then, or until it is told to stop. */
  run(until: number, isOver: () => boolean): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= until && !isOver()) {
      const item = this.#pop();
      this.now = item.at;
      this.done++;
      item.work();
    }
    if (!isOver()) this.now = until;
  }

  #push(item: Item): void {
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(item, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  #pop(): Item {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function isBefore(a: Item, b: Item): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
