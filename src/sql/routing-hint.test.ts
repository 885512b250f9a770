import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RoutingHint, routingHint } from './routing-hint.js';

const { NONE, PRIMARY, STANDBY, STRONG, EVENTUAL, BOUNDED, SESSION, UNKNOWN } = RoutingHint;

function hint(text: string): number {
  const bytes = Buffer.from(`<${text}>`);
  return routingHint(bytes, 1, bytes.length - 1);
}

test('comments in front of a statement give hints', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['/* sluice: primary */ SELECT 1', PRIMARY],
    ['/*sluice:primary*/SELECT 1', PRIMARY],
    ['/* Sluice: PRIMARY */ SELECT 1', PRIMARY],
    [' \n/* sluice: standby, eventual */ SELECT 1', STANDBY | EVENTUAL],
    ['/* sluice: replica bounded */ SELECT 1', STANDBY | BOUNDED],
    ['/* a */ /* sluice: session */ SELECT 1', SESSION],
    ['-- sluice: strong\nSELECT 1', STRONG],
    ['-- why\n  -- sluice: primary\nSELECT 1', PRIMARY],
    ['/* sluice: master */ SELECT 1', UNKNOWN],
    ['/* sluice: primary, now */ SELECT 1', PRIMARY | UNKNOWN],
    ['/*NO LOAD BALANCE*/ SELECT 1', PRIMARY],
    ['/* no load  balance */ SELECT 1', PRIMARY],
  ];
  for (const [text, expected] of cases) assert.equal(hint(text), expected, text);
});

test('nothing else does', () => {
  for (const text of [
    '',
    'SELECT 1',
    'SELECT /* sluice: primary */ 1',
    "'/* sluice: primary */'",
    '/* sluice primary */ SELECT 1',
    '/* asluice: primary */ SELECT 1',
    '/* sluice: */ SELECT 1',
    '/* NO LOAD BALANCE please */ SELECT 1',
    '/* NO LOAD */ SELECT 1',
    '/* sluice: primary',
    '-- sluice: primary',
    '/',
    '/*',
    '-',
  ]) {
    assert.equal(hint(text), NONE, text);
  }
});

test('no bytes make it fail, nor read beyond the text', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...'/*- \nsluice:pr', 'primary', 'sluice:', '*/', '/*'), { maxLength: 30 }),
      (parts) => {
        const text = parts.join('');
        const bytes = Buffer.from(`${text}*/ /* sluice: primary */`);
        const alone = Buffer.from(text);
        assert.equal(routingHint(bytes, 0, alone.length), routingHint(alone, 0, alone.length));
      },
    ),
  );
});
