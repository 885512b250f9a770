import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderMarkdown, renderText } from './table.js';

const table = {
  title: 'A title',
  header: ['target', 'tps'],
  rows: [
    ['direct', '40,000'],
    ['Sluice | uring', '9'],
  ],
  notes: ['A note.'],
};

test('renderText aligns words left and numbers right', () => {
  assert.equal(
    renderText(table),
    [
      'A title',
      '',
      'target             tps',
      '--------------  ------',
      'direct          40,000',
      'Sluice | uring       9',
      '  A note.',
      '',
    ].join('\n'),
  );
});

test('renderMarkdown escapes what would end a cell', () => {
  assert.equal(
    renderMarkdown(table),
    [
      '### A title',
      '',
      '| target | tps |',
      '|---|---|',
      '| direct | 40,000 |',
      '| Sluice \\| uring | 9 |',
      '',
      '- A note.',
      '',
    ].join('\n'),
  );
});
