import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shapeText } from './shape-text.js';

function textOf(sql: string, bytesMax = 200): string {
  const bytes = Buffer.from(`<${sql}>`);
  return shapeText(bytes, 1, bytes.length - 1, bytesMax);
}

describe('the text of a shape', () => {
  test('has no constants, comments and needless spaces', () => {
    assert.equal(
      textOf(
        "/* who */ SELECT a,\n\t\"B c\" FROM t -- why\nWHERE b = 'secret'||E'\\'s' AND c IN (1, 2.5e3) AND d=$1",
      ),
      'SELECT a, "B c" FROM t WHERE b = ?||? AND c IN (?, ?) AND d=$1',
    );
    assert.equal(textOf('ALTER ROLE r PASSWORD $x$secret$x$'), 'ALTER ROLE r PASSWORD ?');
    assert.equal(textOf(''), '');
  });

  test('is cut where it is too long, and where nothing is certain', () => {
    assert.equal(textOf('SELECT abcdef', 9), 'SELECT ab...');
    assert.equal(textOf("SELECT a, 'secret"), 'SELECT a,...');
  });

  test('keeps characters whole', () => {
    assert.equal(textOf('SELECT größe'), 'SELECT größe');
  });
});
