import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  BLOCK,
  END,
  FORWARD,
  FrameReader,
  HEADER_BYTES,
  MORE,
  readInt32,
  SWALLOW,
  type Verdict,
  WHOLE,
} from './framing.js';

const PASS = 0x50; // P: passed on
const DROP = 0x44; // D: swallowed
const ENTIRE = 0x45; // E: wanted whole, then passed on
const PREFIX = 0x4d; // M: wanted up to its first zero byte, then passed on behind another beginning
const STOP = 0x42; // B: blocks once
const MARK = 0x49; // I: passed on, and something is interjected behind it

/** Passes on what its messages' types say, and records what went where. */
class Recorder extends FrameReader {
  readonly output: number[] = [];
  readonly wholeSeen: string[] = [];
  invalid: number | null = null;
  private stopped = true;

  protected message(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (type === DROP) return SWALLOW;
    if (type === ENTIRE) {
      if (end - position < total) return WHOLE;
      this.wholeSeen.push(
        Buffer.from(bytes.subarray(position + HEADER_BYTES, position + total)).toString('latin1'),
      );
    }
    if (type === PREFIX) return this.rewrite(total, bytes, position, end);
    if (type === STOP) {
      this.stopped = !this.stopped;
      if (!this.stopped) return BLOCK;
    }
    if (type === MARK) this.interject = true;
    return type === 0 ? END : FORWARD;
  }

  private rewrite(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    const available = Math.min(end, position + total);
    const zero = bytes.subarray(position + HEADER_BYTES, available).indexOf(0);
    if (zero < 0) return available === position + total ? SWALLOW : MORE;
    this.flushRun(bytes, position);
    this.output.push(...Buffer.from('<new>'));
    this.forwardFrom(position + HEADER_BYTES + zero + 1);
    return FORWARD;
  }

  protected forward(bytes: Uint8Array, start: number, end: number): void {
    assert.ok(start < end);
    this.output.push(...bytes.subarray(start, end));
  }

  protected override betweenMessages(): void {
    this.output.push(...Buffer.from('<between>'));
  }

  protected invalidLength(_type: number, length: number): void {
    this.invalid = length;
  }

  protected lengthMax(): number {
    return 1_000_000;
  }

  feed(chunk: Uint8Array): void {
    // The reader must not keep the chunk: it is overwritten afterwards, as a driver's memory is.
    const memory = Uint8Array.from(chunk);
    this.receive(memory, 0, memory.length);
    memory.fill(0xee);
    while (this.isBlocked) this.resume();
  }

  repeat(messages: Uint8Array): void {
    this.putBack(messages, messages.length);
    while (this.isBlocked) this.resume();
  }

  get text(): string {
    return Buffer.from(this.output).toString('latin1');
  }
}

function frame(type: number, body: string): Buffer {
  const message = Buffer.alloc(HEADER_BYTES + body.length);
  message[0] = type;
  message.writeInt32BE(4 + body.length, 1);
  message.write(body, HEADER_BYTES, 'latin1');
  return message;
}

function expected(type: number, body: string): string {
  const whole = frame(type, body).toString('latin1');
  if (type === DROP) return '';
  if (type === PREFIX) return body.includes('\0') ? `<new>${body.slice(body.indexOf('\0') + 1)}` : '';
  return type === MARK ? `${whole}<between>` : whole;
}

describe('FrameReader', () => {
  const messages: [number, string][] = [
    [PASS, 'one'],
    [DROP, 'dropped'],
    [MARK, 'marked'],
    [ENTIRE, 'whole'],
    [PREFIX, 'name\0rest of it'],
    [STOP, 'after a pause'],
    [PASS, ''],
    [MARK, ''],
  ];
  const stream = Buffer.concat(messages.map(([type, body]) => frame(type, body)));
  const result = messages.map(([type, body]) => expected(type, body)).join('');

  test('gives the same result wherever the stream is cut in two', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const reader = new Recorder();
      reader.feed(stream.subarray(0, cut));
      reader.feed(stream.subarray(cut));
      assert.equal(reader.text, result, `cut at ${cut}`);
      assert.deepEqual(reader.wholeSeen, ['whole']);
      assert.equal(reader.heldBytes, 0);
    }
  });

  test('gives the same result for any messages in any chunks', () => {
    const anyMessage = fc.tuple(
      fc.constantFrom(PASS, DROP, ENTIRE, PREFIX, STOP, MARK),
      fc.stringMatching(/^[a-c\0]{0,300}$/),
    );
    fc.assert(
      fc.property(
        fc.array(anyMessage, { maxLength: 12 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 90 })),
        (list, cuts) => {
          const bytes = Buffer.concat(list.map(([type, body]) => frame(type, body)));
          const reader = new Recorder();
          for (let at = 0; at < bytes.length; ) {
            const next = at + (cuts.next().value ?? 1);
            reader.feed(bytes.subarray(at, next));
            at = next;
          }
          assert.equal(reader.text, list.map(([type, body]) => expected(type, body)).join(''));
          assert.equal(reader.heldBytes, 0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('takes messages back in front of a header that is cut anywhere', () => {
    const again = frame(PASS, 'again');
    const next = frame(PASS, 'next');
    for (let cut = 0; cut < HEADER_BYTES; cut++) {
      const reader = new Recorder();
      reader.feed(Buffer.concat([again, next.subarray(0, cut)]));
      reader.repeat(again);
      reader.feed(next.subarray(cut));
      assert.equal(reader.text, Buffer.concat([again, again, next]).toString('latin1'), `cut at ${cut}`);
      assert.equal(reader.heldBytes, 0);
    }
  });

  test('refuses lengths below 4 and above the limit, and reads nothing more', () => {
    for (const length of [-1, 0, 3, 1_000_001, 0x7fffffff, -0x80000000]) {
      const reader = new Recorder();
      const bad = Buffer.alloc(HEADER_BYTES);
      bad[0] = PASS;
      bad.writeInt32BE(length, 1);
      reader.feed(Buffer.concat([frame(PASS, 'good'), bad, frame(PASS, 'unread')]));
      assert.equal(reader.invalid, length);
      assert.equal(reader.text, frame(PASS, 'good').toString('latin1'));
    }
  });

  test('allocates by what has arrived, not by what a header promises', () => {
    const reader = new Recorder();
    const header = Buffer.alloc(HEADER_BYTES + 1);
    header[0] = ENTIRE;
    header.writeInt32BE(1_000_000, 1);
    reader.feed(header);
    assert.equal(reader.heldBytes, HEADER_BYTES + 1);
  });

  test('reads big-endian integers with their sign', () => {
    assert.equal(readInt32(Uint8Array.of(0xff, 0xff, 0xff, 0xfe), 0), -2);
    assert.equal(readInt32(Uint8Array.of(9, 0x01, 0x02, 0x03, 0x04), 1), 0x01020304);
  });
});
