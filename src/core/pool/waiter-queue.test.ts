import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Waiter, WaiterQueue } from './waiter-queue.js';

class Person implements Waiter {
  nextWaiter: this | null = null;
  previousWaiter: this | null = null;
  waiting = false;
}

test('WaiterQueue serves in the order of arrival, whoever leaves', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('push' as const) }),
    fc.record({ kind: fc.constant('shift' as const) }),
    fc.record({ kind: fc.constant('leave' as const), at: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const queue = new WaiterQueue<Person>();
      const model: Person[] = [];
      for (const step of actions) {
        if (step.kind === 'push') {
          const person = new Person();
          queue.push(person);
          model.push(person);
        } else if (step.kind === 'shift') {
          assert.equal(queue.shift(), model.shift() ?? null);
        } else if (model.length > 0) {
          const [person] = model.splice(step.at % model.length, 1) as [Person];
          queue.remove(person);
          assert.equal(person.waiting, false);
          queue.remove(person);
        }
        assert.deepEqual(queue.toArray(), model);
        assert.equal(queue.length, model.length);
        assert.equal(queue.first, model[0] ?? null);
      }
    }),
  );
});

test('a waiter stands in a queue once', () => {
  const queue = new WaiterQueue<Person>();
  const person = new Person();
  queue.push(person);
  assert.throws(() => queue.push(person), /invariant/);
});
