import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  buildErrorResponse,
  buildNoticeResponse,
  type ErrorFields,
  readErrorFields,
} from './error-fields.js';

const read = (body: string | Uint8Array): ErrorFields => {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
  return readErrorFields(bytes, 0, bytes.length);
};

const EVERY_FIELD: ErrorFields = {
  severity: 'ERROR',
  code: '23505',
  message: 'duplicate key',
  detail: 'Key (id)=(1) already exists.',
  hint: 'h',
  position: '7',
  internalPosition: '8',
  internalQuery: 'SELECT 1',
  where: 'PL/pgSQL function f()',
  schema: 'public',
  table: 't',
  column: 'id',
  dataType: 'int4',
  constraint: 't_pkey',
  file: 'nbtinsert.c',
  line: '673',
  routine: '_bt_check_unique',
};

describe('ErrorResponse and NoticeResponse', () => {
  test('are written as PostgreSQL writes them', () => {
    const fields = { severity: 'FATAL', code: '57P01', message: 'bye', hint: 'again' } as const;
    const body = 'SFATAL\0VFATAL\0C57P01\0Mbye\0Hagain\0\0';
    assert.equal(buildErrorResponse(fields).toString('latin1'), `E\0\0\0\x26${body}`);
    assert.equal(buildNoticeResponse(fields).toString('latin1'), `N\0\0\0\x26${body}`);
  });

  test('every documented field goes through', () => {
    assert.deepEqual(read(buildErrorResponse(EVERY_FIELD).subarray(5)), EVERY_FIELD);
  });

  test('the severity that is never translated is preferred', () => {
    assert.equal(read('SFEHLER\0VERROR\0C22012\0Mx\0\0').severity, 'ERROR');
    assert.equal(read('SFEHLER\0C22012\0Mx\0\0').severity, 'FEHLER');
  });

  test('unknown fields are passed over', () => {
    assert.deepEqual(read('?what\0SERROR\0C22012\0Mx\0\0'), {
      severity: 'ERROR',
      code: '22012',
      message: 'x',
    });
  });

  test('hostile bodies give an error, not a crash', () => {
    const nothing = { severity: 'ERROR', code: 'XX000', message: '' };
    for (const body of ['', '\0', 'S', 'M\0', 'C', 'C1\0\0', 'C2201\xe9\0\0', 'Cabcde\0', '\0Mlate\0']) {
      assert.deepEqual(read(body), nothing, JSON.stringify(body));
    }
    assert.deepEqual(read('Mno terminator'), { ...nothing, message: 'no terminator' });
  });

  test('a body that is cut anywhere gives nothing that was not in it, and nothing from behind it', () => {
    const message = buildErrorResponse(EVERY_FIELD);
    for (let end = 5; end <= message.length; end += 1) {
      const whole = readErrorFields(message, 5, end);
      assert.deepEqual(whole, read(Uint8Array.from(message.subarray(5, end))));
      for (const [name, value] of Object.entries(whole)) {
        const sent = EVERY_FIELD[name as keyof ErrorFields] ?? '';
        assert.ok(sent.startsWith(value) || value === 'XX000', name);
      }
    }
  });

  test('random bodies can be read, and what was read can be sent again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (body) => {
        const fields = read(body);
        assert.match(fields.code, /^[0-9A-Z]{5}$/);
        assert.deepEqual(read(buildErrorResponse(fields).subarray(5)), fields);
      }),
      { numRuns: 1000 },
    );
  });

  test('zero bytes in a text do not end the field early', () => {
    const message = buildErrorResponse({ severity: 'ERROR', code: '22012', message: 'a\0Cspoof' });
    assert.equal(read(message.subarray(5)).message, 'aCspoof');
    assert.equal(read(message.subarray(5)).code, '22012');
  });
});
