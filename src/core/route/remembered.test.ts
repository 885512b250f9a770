/** What is forgotten when there is too much of it is counted. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NODE_LOGINS_MAX, SEARCH_PATHS_MAX } from '../limits.js';
import type { PoolLimits } from '../pool/pool-limits.js';
import type { UserSettings } from '../settings.js';
import { Logins } from './logins.js';
import { SearchPaths } from './search-paths.js';

describe('what routing remembers', () => {
  test('search_paths, up to a limit: then all get other numbers', () => {
    const paths = new SearchPaths();
    const first = paths.numberOf('path_0', 'ann');
    for (let n = 1; n < SEARCH_PATHS_MAX; n += 1) paths.numberOf(`path_${n}`, 'ann');
    assert.equal(paths.numberOf('path_0', 'ann'), first);
    assert.equal(paths.overflows, 0);
    paths.numberOf('one too many', 'ann');
    assert.notEqual(paths.numberOf('path_0', 'ann'), first);
    assert.equal(paths.overflows, 1);
  });

  test('users as whom nodes are watched, up to a limit: one that was refused leaves first', () => {
    const limits = {} as PoolLimits;
    const users = Array.from(
      { length: NODE_LOGINS_MAX + 2 },
      (_, n) => ({ name: `user_${n}` }) as UserSettings,
    );
    const logins = new Logins(users[0]!, limits);
    logins.refused(users[0]!);
    for (const user of users.slice(1, NODE_LOGINS_MAX)) logins.join(user, limits);
    assert.equal(logins.forgotten, 0);
    for (const user of users.slice(NODE_LOGINS_MAX)) logins.join(user, limits);
    assert.equal(logins.forgotten, 2);
    assert.equal(logins.current, users[1]);
  });
});
