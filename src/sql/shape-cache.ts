/**
 * What is known of the shapes of statements (see `shape.ts`), within a bound: a table of buckets with eight places each.
 * In a full bucket the place is given away that was not asked for since the last look (second chance).
 */

const PLACES = 8;

/** A bounded map from shapes to values that are not undefined. A look allocates nothing. */
export class ShapeCache<Value extends object> {
  /** How many looks have found something, and how many have not. */
  hits = 0;
  misses = 0;
  /** How many values had to leave for others. */
  evictions = 0;
  readonly #mask: number;
  readonly #low: Int32Array;
  readonly #high: Int32Array;
  readonly #values: (Value | null)[];
  /** By place: 1 if it was asked for since its bucket was last looked over. */
  readonly #used: Uint8Array;
  /** By bucket: the place that is looked at first when one must go. */
  readonly #hands: Uint8Array;
  #size = 0;

  /** @param capacity how many values there is room for, rounded up to eight times a power of two */
  constructor(capacity: number) {
    let buckets = 1;
    while (buckets * PLACES < capacity) buckets *= 2;
    this.#mask = buckets - 1;
    this.#low = new Int32Array(buckets * PLACES);
    this.#high = new Int32Array(buckets * PLACES);
    this.#values = new Array<Value | null>(buckets * PLACES).fill(null);
    this.#used = new Uint8Array(buckets * PLACES);
    this.#hands = new Uint8Array(buckets);
  }

  /** How many shapes are known. */
  get size(): number {
    return this.#size;
  }

  /** How many could be. */
  get capacity(): number {
    return this.#values.length;
  }

  /** What is known of the shape with this hash, or null. */
  get(low: number, high: number): Value | null {
    const place = this.#find(low, high);
    if (place < 0) {
      this.misses += 1;
      return null;
    }
    this.hits += 1;
    this.#used[place] = 1;
    return this.#values[place]!;
  }

  set(low: number, high: number, value: Value): void {
    let place = this.#find(low, high);
    if (place < 0) {
      place = this.#makeRoom(low & this.#mask);
      this.#low[place] = low;
      this.#high[place] = high;
      this.#used[place] = 0;
    }
    this.#values[place] = value;
  }

  /** All that is known, in no order. */
  values(): Value[] {
    return this.#values.filter((value) => value !== null);
  }

  /** Forgets everything; the counters stay. */
  clear(): void {
    this.#values.fill(null);
    this.#used.fill(0);
    this.#size = 0;
  }

  #find(low: number, high: number): number {
    const first = (low & this.#mask) * PLACES;
    for (let place = first; place < first + PLACES; place += 1) {
      if (this.#low[place] === low && this.#high[place] === high && this.#values[place] !== null)
        return place;
    }
    return -1;
  }

  #makeRoom(bucket: number): number {
    const first = bucket * PLACES;
    for (let place = first; place < first + PLACES; place += 1) {
      if (this.#values[place] === null) {
        this.#size += 1;
        return place;
      }
    }
    this.evictions += 1;
    // Two rounds at most: the first takes all second chances.
    let hand = this.#hands[bucket]!;
    while (this.#used[first + hand] === 1) {
      this.#used[first + hand] = 0;
      hand = (hand + 1) % PLACES;
    }
    this.#hands[bucket] = (hand + 1) % PLACES;
    return first + hand;
  }
}
