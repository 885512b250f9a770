import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MessageWriter } from './message-writer.js';
import { decodeText, encodeText } from './text.js';

describe('text', () => {
  test('any bytes come back as they were, also by way of a writer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const text = decodeText(bytes, 0, bytes.length);
        assert.deepEqual(new Uint8Array(encodeText(text)), bytes);
        const written = new MessageWriter(1).begin(0).text(text).end().take().subarray(5);
        assert.deepEqual(new Uint8Array(written), bytes);
      }),
      { numRuns: 500 },
    );
  });

  test('any well-formed string comes back as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const bytes = encodeText(text);
        assert.equal(decodeText(bytes, 0, bytes.length), text);
        assert.deepEqual(bytes, Buffer.from(text, 'utf8'));
      }),
      { numRuns: 500 },
    );
  });

  test('different names that are no UTF-8 stay different', () => {
    const name = (byte: number) => decodeText(Uint8Array.of(0x6e, byte), 0, 2);
    assert.notEqual(name(0xe9), name(0xe8));
    assert.equal(name(0xe9), 'n\udce9');
  });

  test('UTF-8 that spells a surrogate is escaped, not believed', () => {
    const bytes = Buffer.from('edb2a9', 'hex');
    assert.equal(decodeText(bytes, 0, 3), '\udced\udcb2\udca9');
    assert.deepEqual(encodeText('\udced\udcb2\udca9'), bytes);
  });

  test('a real replacement character is not mistaken for damage', () => {
    const bytes = Buffer.from('a\ufffdb', 'utf8');
    assert.equal(decodeText(bytes, 0, bytes.length), 'a\ufffdb');
  });

  test('reads from shared memory and inside of a larger buffer', () => {
    const memory = new Uint8Array(new SharedArrayBuffer(16));
    memory.set(Buffer.from('..é\xff..', 'latin1'));
    memory.set(Buffer.from('é', 'utf8'), 2);
    memory[4] = 0xff;
    assert.equal(decodeText(memory.subarray(1), 1, 4), 'é\udcff');
  });
});
