import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AnswerEnd, queryMessage, startupMessage } from './raw-client.js';

describe('AnswerEnd', () => {
  const answer = Buffer.from([0x43, 0, 0, 0, 9, 0x53, 0x45, 0x4c, 0x54, 0, 0x5a, 0, 0, 0, 5, 0x49]);

  test('sees the end however the answer is cut', () => {
    for (let cut = 1; cut < answer.length; cut++) {
      const end = new AnswerEnd();
      assert.equal(end.ends(answer.subarray(0, cut)), false, `cut at ${cut}`);
      assert.equal(end.ends(answer.subarray(cut)), true, `cut at ${cut}`);
    }
  });

  test('sees it byte by byte', () => {
    const end = new AnswerEnd();
    const seen = [...answer].map((byte) => end.ends(Uint8Array.of(byte)));
    assert.deepEqual(seen.indexOf(true), answer.length - 1);
  });

  test('does not take a failed transaction, or other bytes, for it', () => {
    assert.equal(new AnswerEnd().ends(Uint8Array.of(0x5a, 0, 0, 0, 5, 0x45)), false);
    assert.equal(new AnswerEnd().ends(Uint8Array.of(0x49)), false);
  });

  test('keeps nothing of a chunk that is overwritten afterwards', () => {
    const end = new AnswerEnd();
    const chunk = Buffer.from(answer.subarray(0, answer.length - 1));
    end.ends(chunk);
    chunk.fill(0);
    assert.equal(end.ends(answer.subarray(answer.length - 1)), true);
  });
});

test('messages carry their own length', () => {
  const startup = startupMessage();
  assert.equal(startup.readInt32BE(0), startup.length);
  const query = queryMessage('SELECT 1');
  assert.equal(query.toString('latin1', 0, 1), 'Q');
  assert.equal(query.readInt32BE(1), query.length - 1);
  assert.equal(query.at(-1), 0);
});
