import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_RETAINED_WRITER_BYTES } from './limits.js';
import { MessageWriter } from './message-writer.js';
import { ProtocolViolation } from './protocol-violation.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('MessageWriter', () => {
  test('writes a typed message whose length counts itself but not the type', () => {
    const message = new MessageWriter().begin(0x51).cstring('SELECT 1').end().take();
    assert.equal(hex(message), '510000000d53454c454354203100');
  });

  test('writes an untyped packet', () => {
    const packet = new MessageWriter().beginUntyped().int32(80877103).end().take();
    assert.equal(hex(packet), '0000000804d2162f');
  });

  test('several messages stand behind each other', () => {
    const writer = new MessageWriter();
    writer.begin(0x31).end().begin(0x5a).byte(0x49).end();
    assert.equal(writer.length, 11);
    assert.equal(hex(writer.buffer.subarray(0, writer.length)), '31000000045a0000000549');
    assert.equal(writer.take().length, 11);
    assert.equal(writer.length, 0);
  });

  test('what was taken is not touched by later messages', () => {
    const writer = new MessageWriter();
    const first = writer.begin(1).cstring('one').end().take();
    const before = hex(first);
    writer.begin(2).cstring('two').end();
    assert.equal(hex(first), before);
  });

  test('takes signed and unsigned integers, and refuses what 16 bits cannot hold', () => {
    const writer = new MessageWriter().begin(0).int16(-1).int16(65535).int32(-1).int32(0xffffffff).end();
    assert.equal(hex(writer.take()), `0000000010${'ff'.repeat(12)}`);
    for (const value of [65536, -32769]) {
      assert.throws(() => new MessageWriter().begin(0).int16(value), ProtocolViolation);
    }
  });

  test('a zero byte cannot be smuggled into a string', () => {
    assert.throws(
      () => new MessageWriter().begin(0).cstring('a\0b'),
      (error) => error instanceof ProtocolViolation && error.peer === 'self',
    );
  });

  test('messages are opened and closed in pairs; reset forgets an open one', () => {
    const writer = new MessageWriter().begin(1);
    assert.throws(() => writer.begin(2), ProtocolViolation);
    assert.throws(() => writer.take(), ProtocolViolation);
    writer.reset();
    assert.throws(() => writer.end(), ProtocolViolation);
    assert.equal(writer.take().length, 0);
  });

  test('grows to whatever is written, and keeps no more than its bound after a reset', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 30 }), (parts) => {
        const writer = new MessageWriter(1);
        writer.begin(7);
        for (const part of parts) writer.bytes(part);
        const body = Buffer.concat(parts);
        const message = writer.end().take();
        assert.equal(message.readInt32BE(1), body.length + 4);
        assert.deepEqual(message.subarray(5), body);
      }),
    );
    const writer = new MessageWriter();
    writer.begin(0).bytes(new Uint8Array(1_000_000)).end().reset();
    assert.ok(writer.buffer.length <= MAX_RETAINED_WRITER_BYTES);
  });

  test('bytes takes a part of its source', () => {
    const message = new MessageWriter()
      .begin(0)
      .bytes(Uint8Array.of(1, 2, 3, 4), 1, 3)
      .end()
      .take();
    assert.equal(hex(message), '00000000060203');
  });

  test('long and short texts are written alike', () => {
    for (const text of ['', 'é', '€'.repeat(30_000), '😀'.repeat(20_000)]) {
      const message = new MessageWriter().begin(0).cstring(text).end().take();
      assert.equal(message.toString('utf8', 5, message.length - 1), text);
    }
  });
});
