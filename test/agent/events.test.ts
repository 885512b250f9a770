/** What becomes of an event: a node's own file, and the operator's command. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EventCommand } from '../../src/agent/event-command.js';
import { EventJournal, eventOf } from '../../src/agent/event-journal.js';
import { type ClusterEvent, readHistory, withEvent } from '../../src/cluster/history.js';
import { scratchFolder } from '../harness/scratch.js';

const AT = new Date('2026-01-02T03:04:05.678Z');

function event(text: string, what: ClusterEvent['what'] = 'leads'): ClusterEvent {
  return { at: AT.toISOString(), node: 'db1', term: 4, what, text };
}

describe("a node's events", () => {
  test('are written down in order, and those of the cluster are told to it', async () => {
    const file = join(scratchFolder('events'), 'state', 'events.jsonl');
    const published: string[] = [];
    const told: string[] = [];
    const journal = new EventJournal({
      file,
      publish: ({ text }) => published.push(text),
      command: ({ text }) => told.push(text),
      onTrouble: assert.fail,
    });
    for (const one of [event('1', 'state'), event('2'), event('3')]) journal.note(one);
    await journal.close();
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).text),
      ['1', '2', '3'],
    );
    assert.deepEqual(published, ['2', '3']);
    assert.deepEqual(told, ['1', '2', '3']);
  });

  test('fill no disk', async () => {
    const file = join(scratchFolder('events'), 'events.jsonl');
    writeFileSync(file, 'x'.repeat(1024 * 1024));
    const journal = new EventJournal({ file, publish: () => {}, command: () => {}, onTrouble: assert.fail });
    journal.note(event('new'));
    await journal.close();
    assert.equal(statSync(`${file}.1`).size, 1024 * 1024);
    assert.equal(JSON.parse(readFileSync(file, 'utf8')).text, 'new');
  });

  test('are sentences', () => {
    const report = { what: 'left behind', from: 0x1_0000_0100, to: 0x1_0000_0200, timeline: 3 } as const;
    const { text, details } = eventOf(report, 'db1', 4, AT);
    assert.equal(text, 'db1 had WAL that nobody follows: timeline 3, from 1/100 to 1/200');
    assert.deepEqual(details, { timeline: 3, from: '1/100', to: '1/200', bytes: 256 });
  });
});

describe("the operator's command", () => {
  test('is told of one event after the other', async () => {
    const file = join(scratchFolder('command'), 'told');
    const script = `printf '%s %s %s ' "$SLUICE_EVENT" "$SLUICE_TERM" "$0" >>"${file}"; cat >>"${file}"`;
    const command = new EventCommand({
      words: ['/bin/sh', '-c', script, 'an argument'],
      ...{ limitMs: 20_000, cluster: 'main', node: 'db1', onTrouble: assert.fail },
    });
    command.tell(event('first'));
    command.tell(event('second', 'paused'));
    await command.close();
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.match(lines[0]!, /^leads 4 an argument \{"cluster":"main",.*"text":"first"\}$/);
    assert.match(lines[1]!, /^paused 4 an argument \{.*"text":"second"\}$/);
  });

  test('is ended when it takes too long, and may fail', async () => {
    const said: string[] = [];
    const settings = { cluster: 'main', node: 'db1', onTrouble: (message: string) => said.push(message) };
    const slow = new EventCommand({ words: ['/bin/sleep', '600'], limitMs: 20, ...settings });
    slow.tell(event('a'));
    await slow.close();
    const failing = new EventCommand({ words: ['/bin/false'], limitMs: 20_000, ...settings });
    failing.tell(event('b'));
    await failing.close();
    const missing = new EventCommand({ words: ['/nowhere/at/all'], limitMs: 20_000, ...settings });
    missing.tell(event('c'));
    await missing.close();
    assert.match(said[0]!, /ended after 20 ms \(on_event_timeout\), told of: a/);
    assert.match(said[1]!, /exit code 1, told of: b/);
    assert.match(said[2]!, /ENOENT, told of: c/);
  });
});

test('the history in the store has an end', () => {
  let text: string | undefined;
  for (let i = 0; i < 150; i++) text = withEvent(text, event(`${i}`));
  assert.deepEqual([readHistory(text)[0]?.text, readHistory(text).length], ['50', 100]);
  const long = withEvent(text, event('y'.repeat(30_000)));
  assert.ok(long.length <= 32 * 1024);
  assert.ok(readHistory(long).length < 100);
  assert.deepEqual(readHistory('{"no": "list"}'), []);
  assert.equal(withEvent('broken', event('z')), JSON.stringify([event('z')]));
});
