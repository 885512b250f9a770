import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { GatewayContext } from '../context.js';
import type { Reader } from './reader-list.js';
import { RouteNode } from './route-node.js';
import { type PositionSource, StrongReads, type StrongReadsCluster } from './strong-reads.js';

const WAIT_MS = 10;

let now: number;
const clock = { now: () => now };

class FakeWatch implements PositionSource {
  readonly node: RouteNode;
  readonly evidence = { pageBytes: 8192 };
  positionAskedAtLast = 0;
  positionToldAt = 0;
  private askedAt = 0;
  isAsked = false;
  isConnected = true;
  questions = 0;

  constructor(name: string) {
    const settings = { name, address: { host: name, port: 5432 }, weight: 1, zone: '' };
    this.node = new RouteNode(settings, clock, { lost() {}, leftRecovery() {} });
  }

  askPosition(): boolean {
    if (!this.isConnected || this.isAsked) return false;
    this.isAsked = true;
    this.questions += 1;
    this.askedAt = now;
    return true;
  }

  answered(): void {
    this.isAsked = false;
    this.positionAskedAtLast = this.askedAt;
    this.positionToldAt = now;
  }
}

class FakeReader implements Reader {
  nextReader: Reader | null = null;
  previousReader: Reader | null = null;
  neededPosition = 0;
  waitsSince = 0;
  early: RouteNode | null = null;
  seesAtLeast = 0;
  /** `primary`, or the name of a standby. */
  readonly routes: string[] = [];
  whenRouted: () => void = () => {};

  letGo(): void {
    this.early = null;
    this.routes.push('let go');
  }

  takeBack(): void {
    this.early = null;
    this.routes.push('taken back');
  }

  routed(node: RouteNode | null): void {
    this.routes.push(node === null ? 'primary' : node.settings.name);
    this.whenRouted();
  }
}

class FakeCluster implements StrongReadsCluster {
  readonly primary = new FakeWatch('primary');
  readonly standbys = [new FakeWatch('one'), new FakeWatch('two')];
  readonly watches = [this.primary, ...this.standbys];
  primaryWatch: FakeWatch | null = this.primary;
  hasStandby = true;
  readonly counters = {
    readsOnStandbys: 0,
    readsOnPrimary: 0,
    standbyWaitTimeouts: 0,
    positionQuestions: 0,
  };

  constructor() {
    this.primary.node.role = 'primary';
    for (const { node } of this.standbys) {
      node.role = 'standby';
      node.reason = null;
    }
  }

  chooseAt(position: number): RouteNode | null {
    return this.standbys.find(({ node }) => node.mayServe && node.replayed >= position)?.node ?? null;
  }

  primaryAt(position: number): number {
    return position;
  }
}

describe('reads that must see all that was committed before', () => {
  let cluster: FakeCluster;
  let reads: StrongReads;
  let counters: { readsEarly: number; readsTooEarly: number };
  const turn = (): number => reads.turn(now);
  const read = (): FakeReader => {
    const reader = new FakeReader();
    reads.add(reader);
    return reader;
  };
  const answer = (watch: FakeWatch, position: number): void => {
    assert.ok(watch.isAsked, `${watch.node.settings.name} was not asked`);
    watch.answered();
    if (watch !== cluster.primary) watch.node.replayed = position;
    reads.positioned(watch, position);
  };
  const [one, two] = [0, 1];

  beforeEach(() => {
    now = 1000;
    cluster = new FakeCluster();
    counters = { readsEarly: 0, readsTooEarly: 0 };
    const settings = { standbyWaitMs: WAIT_MS, readPipelineLength: 8 };
    const context = { io: clock, settings, counters } as unknown as GatewayContext;
    reads = new StrongReads(context, cluster);
  });

  test('those of one turn share a question, and nobody is told within the call', () => {
    const readers = [read(), read(), read()];
    turn();
    assert.equal(cluster.primary.questions, 1);
    assert.ok(readers.every(({ routes }) => routes.length === 0));
    cluster.standbys[two]!.node.replayed = 500;
    answer(cluster.primary, 500);
    turn();
    assert.deepEqual(
      readers.map(({ routes }) => routes),
      [['two'], ['two'], ['two']],
    );
    assert.equal(cluster.standbys[one]!.questions, 0);
    assert.ok(reads.isEmpty);
  });

  test('one that comes while the question is under way is not served by its answer', () => {
    const early = read();
    turn();
    const late = read();
    turn();
    cluster.standbys[one]!.node.replayed = 500;
    answer(cluster.primary, 500);
    turn();
    assert.deepEqual([early.routes, late.routes], [['one'], []]);
    answer(cluster.primary, 600);
    turn();
    assert.deepEqual(late.routes, []);
    answer(cluster.standbys[one]!, 600);
    turn();
    assert.deepEqual(late.routes, ['one']);
  });

  test('standbys are asked when none is known to be there', () => {
    const reader = read();
    turn();
    now += 1;
    answer(cluster.primary, 500);
    turn();
    assert.deepEqual(
      cluster.standbys.map(({ questions }) => questions),
      [1, 1],
    );
    answer(cluster.standbys[two]!, 500);
    turn();
    assert.deepEqual(reader.routes, ['two']);
  });

  test('a standby that is not there yet is asked again at once, and after a while with rests', () => {
    const standby = cluster.standbys[one]!;
    cluster.standbys[two]!.node.reason = 'for a test';
    read();
    turn();
    answer(cluster.primary, 500);
    const since = now;
    const askedAt: number[] = [];
    while (askedAt.length < 6) {
      const due = turn();
      if (standby.isAsked) {
        askedAt.push(now - since);
        now += 0.5;
        answer(standby, 499);
      } else now = due;
    }
    assert.deepEqual(askedAt, [0, 0.5, 1, 1.5, 3, 4.5]);
  });

  test('a wait is bounded', () => {
    const reader = read();
    turn();
    answer(cluster.primary, 500);
    assert.equal(turn(), now + WAIT_MS);
    now += WAIT_MS - 1;
    turn();
    assert.deepEqual(reader.routes, []);
    now += 1;
    turn();
    assert.deepEqual(reader.routes, ['primary']);
    assert.equal(cluster.counters.standbyWaitTimeouts, 1);
  });

  test('after waits in vain nobody waits, until a standby has got as far', () => {
    const wait = (position: number): FakeReader => {
      const reader = read();
      turn();
      answer(cluster.primary, position);
      turn();
      return reader;
    };
    for (let i = 0; i < 3; i++) {
      wait(500 + i);
      now += WAIT_MS;
      turn();
    }
    const hopeless = wait(510);
    assert.deepEqual(hopeless.routes, ['primary']);
    assert.equal(cluster.counters.standbyWaitTimeouts, 3);
    cluster.standbys[one]!.node.replayed = 505;
    assert.deepEqual(wait(520).routes, []);
  });

  test('after waits in vain nobody is asked, either, until a standby has got as far', () => {
    for (let i = 0; i < 3; i++) {
      assert.equal(reads.isHopeless, false);
      read();
      turn();
      answer(cluster.primary, 500 + i);
      now += WAIT_MS;
      turn();
    }
    assert.equal(reads.isHopeless, true);
    cluster.standbys[one]!.node.replayed = 501;
    assert.equal(reads.isHopeless, true);
    cluster.standbys[one]!.node.replayed = 502;
    cluster.standbys[one]!.node.reason = 'for a test';
    assert.equal(reads.isHopeless, true);
    cluster.standbys[one]!.node.reason = null;
    assert.equal(reads.isHopeless, false);
  });

  test('reads that have waited at the same time wait in vain but once', () => {
    for (let i = 0; i < 5; i++) {
      read();
      turn();
      answer(cluster.primary, 500 + i);
      now += 1;
      turn();
    }
    now += WAIT_MS;
    turn();
    assert.equal(cluster.counters.standbyWaitTimeouts, 5);
    assert.equal(reads.isHopeless, false);
  });

  test('a standby that has got as far, and falls behind again, is waited for', () => {
    const waitInVain = (position: number): void => {
      read();
      turn();
      answer(cluster.primary, position);
      now += WAIT_MS;
      turn();
    };
    for (const position of [500, 501, 502]) waitInVain(position);
    cluster.standbys[one]!.node.replayed = 502;
    waitInVain(600);
    assert.equal(cluster.counters.standbyWaitTimeouts, 4);
    assert.equal(reads.isHopeless, false);
  });

  test('the end of a page counts as replayed', () => {
    cluster.standbys[one]!.node.replayed = 8192;
    const reader = read();
    turn();
    answer(cluster.primary, 8192 + 24);
    turn();
    assert.deepEqual(reader.routes, ['one']);
  });

  test('without a primary, a standby or a connection to the primary, they go to the primary at the end of the turn', () => {
    for (const lack of [
      () => {
        cluster.primaryWatch = null;
      },
      () => {
        cluster.primaryWatch = cluster.primary;
        cluster.hasStandby = false;
      },
      () => {
        cluster.hasStandby = true;
        cluster.primary.isConnected = false;
      },
    ]) {
      lack();
      const reader = read();
      assert.deepEqual(reader.routes, []);
      turn();
      assert.deepEqual(reader.routes, ['primary']);
    }
  });

  test('a question that is not answered is asked again', () => {
    const reader = read();
    turn();
    answer(cluster.primary, -1);
    assert.deepEqual(reader.routes, []);
    turn();
    assert.equal(cluster.primary.questions, 2);
  });

  test('the answer of a primary that is none any more serves nobody', () => {
    const reader = read();
    turn();
    const former = cluster.primary;
    cluster.standbys[one]!.node.replayed = 500;
    cluster.primaryWatch = cluster.standbys[two]!;
    reads.restart();
    former.isAsked = false;
    reads.positioned(former, 500);
    turn();
    assert.deepEqual(reader.routes, []);
    assert.equal(cluster.standbys[two]!.questions, 1);
  });

  test('one that leaves is not told, wherever it has got', () => {
    const gone = [read(), read(), read()];
    const stays = read();
    reads.remove(gone[0]!);
    turn();
    const arrived = read();
    reads.remove(gone[1]!);
    reads.remove(arrived);
    answer(cluster.primary, 500);
    turn();
    reads.remove(gone[2]!);
    answer(cluster.standbys[one]!, 500);
    turn();
    assert.deepEqual(stays.routes, ['one']);
    assert.ok([...gone, arrived].every(({ routes }) => routes.length === 0));
    assert.ok(reads.isEmpty);
    reads.remove(stays);
  });

  test('one that comes back while it is told is for the next turn', () => {
    cluster.primaryWatch = null;
    const reader = read();
    reader.whenRouted = () => {
      if (reader.routes.length < 10) reads.add(reader);
    };
    turn();
    assert.equal(reader.routes.length, 1);
    turn();
    assert.equal(reader.routes.length, 2);
  });

  describe('that are sent early', () => {
    const ask = (position: number): FakeReader => {
      const reader = read();
      turn();
      answer(cluster.primary, position);
      turn();
      return reader;
    };
    /** The primary writes nothing, and one standby has all. */
    const settle = (): void => {
      cluster.standbys[one]!.node.replayed = 500;
      for (let count = 0; count < 4; count++) {
        assert.equal(reads.early(), null);
        ask(500);
      }
    };
    const readEarly = (): FakeReader => {
      const reader = new FakeReader();
      reader.early = reads.early();
      assert.equal(reader.early, cluster.standbys[one]!.node);
      reader.seesAtLeast = reader.early!.replayed;
      reads.add(reader);
      return reader;
    };

    test('are let go when the primary is where it was', () => {
      settle();
      const readers = [readEarly(), readEarly()];
      turn();
      assert.deepEqual(readers[0]!.routes, []);
      answer(cluster.primary, 500);
      assert.deepEqual(readers[0]!.routes, []);
      turn();
      assert.deepEqual(
        readers.map(({ routes }) => routes),
        [['let go'], ['let go']],
      );
      assert.ok(reads.isEmpty);
      assert.deepEqual(counters, { readsEarly: 2, readsTooEarly: 0 });
    });

    test('have no company: where many share a question, who finds others waiting waits with them', () => {
      settle();
      const crowd = () => Array.from({ length: 10 }, read);
      for (let count = 0; count < 16; count += 1) {
        crowd();
        turn();
        answer(cluster.primary, 500);
        turn();
      }
      assert.equal(reads.early(), cluster.standbys[one]!.node);
      const waiting = crowd();
      assert.equal(reads.early(), null);
      turn();
      assert.equal(reads.early(), null);
      answer(cluster.primary, 500);
      turn();
      assert.ok(waiting.every(({ routes }) => routes[0] === 'one'));
      assert.equal(reads.early(), cluster.standbys[one]!.node);
    });

    test('are taken back when it has written, and wait like all others; the next ones are not sent early', () => {
      settle();
      const reader = readEarly();
      turn();
      answer(cluster.primary, 600);
      turn();
      assert.deepEqual(reader.routes, ['taken back']);
      assert.equal(reads.early(), null);
      answer(cluster.standbys[one]!, 600);
      turn();
      assert.deepEqual(reader.routes, ['taken back', 'one']);
      assert.deepEqual(counters, { readsEarly: 1, readsTooEarly: 1 });
      assert.ok(reads.isEmpty);
    });

    test('count what the standby had when they were sent, not what it has now', () => {
      settle();
      const reader = readEarly();
      cluster.standbys[one]!.node.replayed = 600;
      turn();
      answer(cluster.primary, 600);
      turn();
      assert.deepEqual(reader.routes, ['taken back', 'one']);
    });

    test('are held for the question that is asked after they have come', () => {
      settle();
      read();
      turn();
      const reader = readEarly();
      turn();
      answer(cluster.primary, 500);
      turn();
      assert.deepEqual(reader.routes, []);
      answer(cluster.primary, 600);
      turn();
      assert.deepEqual(reader.routes, ['taken back']);
    });

    test('are taken back when their standby may not serve any more', () => {
      settle();
      const reader = readEarly();
      turn();
      cluster.standbys[one]!.node.reason = 'for a test';
      answer(cluster.primary, 500);
      turn();
      assert.deepEqual(reader.routes, ['taken back']);
    });

    test('are taken back when there is another primary, whatever that says', () => {
      settle();
      const reader = readEarly();
      turn();
      reads.restart();
      assert.equal(reads.early(), null);
      cluster.primary.isAsked = false;
      turn();
      answer(cluster.primary, 400);
      turn();
      assert.deepEqual(reader.routes, ['taken back', 'one']);
    });

    test('go to the primary when nobody can be asked', () => {
      settle();
      const reader = readEarly();
      cluster.primaryWatch = null;
      turn();
      assert.deepEqual(reader.routes, ['taken back', 'primary']);
      assert.ok(reads.isEmpty);
    });
  });
});
