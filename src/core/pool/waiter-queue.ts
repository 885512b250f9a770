/** A first-in, first-out queue whose members can leave from the middle, without an allocation a member. */

/** Fields that a member lends to the one queue it may stand in. */
export interface Waiter {
  nextWaiter: this | null;
  previousWaiter: this | null;
  waiting: boolean;
}

export class WaiterQueue<T extends Waiter> {
  private head: T | null = null;
  private tail: T | null = null;
  private count = 0;

  get length(): number {
    return this.count;
  }

  get first(): T | null {
    return this.head;
  }

  push(waiter: T): void {
    if (waiter.waiting) throw new Error('invariant: a waiter stands in one queue once');
    waiter.waiting = true;
    waiter.nextWaiter = null;
    waiter.previousWaiter = this.tail;
    if (this.tail === null) this.head = waiter;
    else this.tail.nextWaiter = waiter;
    this.tail = waiter;
    this.count += 1;
  }

  remove(waiter: T): void {
    if (!waiter.waiting) return;
    const { previousWaiter, nextWaiter } = waiter;
    if (previousWaiter === null) this.head = nextWaiter;
    else previousWaiter.nextWaiter = nextWaiter;
    if (nextWaiter === null) this.tail = previousWaiter;
    else nextWaiter.previousWaiter = previousWaiter;
    waiter.waiting = false;
    waiter.nextWaiter = null;
    waiter.previousWaiter = null;
    this.count -= 1;
  }

  shift(): T | null {
    const waiter = this.head;
    if (waiter !== null) this.remove(waiter);
    return waiter;
  }

  /** The members, oldest first, as of now. */
  toArray(): T[] {
    const members: T[] = [];
    for (let waiter = this.head; waiter !== null; waiter = waiter.nextWaiter) members.push(waiter);
    return members;
  }
}
