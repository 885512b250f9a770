import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as Frontend from '../../wire/frontend.js';
import { PRELUDE_BYTES_MAX } from './answer-prelude.js';
import { SentUnit } from './sent-unit.js';

/** A message of this type with a body of so many bytes. */
function message(type: string, bodyBytes: number): Uint8Array {
  const bytes = new Uint8Array(5 + bodyBytes).fill(type.charCodeAt(0));
  new DataView(bytes.buffer).setInt32(1, 4 + bodyBytes);
  return bytes;
}

const HEADER_BYTES = 5;
const QUERY = message('Q', 9);

/** A client that gets the answer in pieces, and what has become of it. */
class Client {
  readonly unit = new SentUnit();
  got: Uint8Array = new Uint8Array();
  readonly statements = null;
  repeats = 0;

  constructor() {
    this.unit.begin(Frontend.Query, QUERY, 0, QUERY.length);
  }

  send(bytes: Uint8Array): void {
    this.got = Buffer.concat([this.got, bytes]);
  }

  repeat(): void {
    this.repeats += 1;
  }

  piece(bytes: Uint8Array): void {
    const { unit } = this;
    if (!unit.isAnswered && unit.holdsBack(bytes, 0, bytes.length)) return;
    if (!unit.isAnswered) unit.answer(this);
    this.send(bytes);
  }
}

/** Where a chunk may end: nowhere within a header, which the reader of messages joins. */
function cuts(messages: readonly Uint8Array[]): number[] {
  let at = 0;
  return messages.flatMap(({ length }) => {
    const start = at;
    at += length;
    return [start, ...Array.from({ length: length - HEADER_BYTES }, (_, i) => start + HEADER_BYTES + i)];
  });
}

describe('the beginning of an answer', () => {
  const prelude = [message('1', 0), message('2', 0), message('T', 7)];
  const beginning = Buffer.concat(prelude);

  test('is held, however it is cut, and comes in front of the first row', () => {
    const whole = Buffer.concat([beginning, message('D', 3)]);
    const places = cuts([...prelude, message('D', 3)]);
    for (const one of places) {
      for (const other of places.filter((place) => place >= one)) {
        const client = new Client();
        for (const [from, to] of [
          [0, one],
          [one, other],
          [other, whole.length],
        ] as const) {
          if (to > from) client.piece(whole.subarray(from, to));
        }
        assert.deepEqual(client.got, whole, `cut at ${one} and ${other}`);
      }
    }
  });

  test('is forgotten when all of it is asked for again', () => {
    for (const cut of cuts(prelude)) {
      const client = new Client();
      if (cut > 0) client.piece(beginning.subarray(0, cut));
      assert.ok(client.unit.isRepeatable);
      client.unit.repeatFor(client);
      assert.deepEqual([client.repeats, client.got.length], [1, 0]);
      client.unit.begin(Frontend.Query, QUERY, 0, QUERY.length);
      const other = message('C', 4);
      client.piece(other);
      assert.deepEqual(client.got, Buffer.from(other));
    }
  });

  test('is passed on when it is long, or not all of the unit has been sent', () => {
    const long = new Client();
    long.piece(message('T', PRELUDE_BYTES_MAX));
    assert.ok(long.unit.isAnswered);
    const open = new Client();
    open.unit.begin(Frontend.Parse, QUERY, 0, QUERY.length);
    open.piece(message('1', 0));
    assert.ok(open.unit.isAnswered && open.got.length === HEADER_BYTES);
  });
});
