/** The console's tables as messages: types by PostgreSQL's OIDs, values as text or, where a client asks, binary. */
import { buildDataRow, buildRowDescription } from '../../wire/server-messages.js';
import type { ConsoleColumn, ConsoleResult, ConsoleType } from '../console.js';

/** As in Bind: none, one for all columns, or one each; 0 is text and 1 binary. */
export type Formats = readonly number[];

/** OIDs and sizes as in pg_type. */
const TYPES: Readonly<Record<ConsoleType, { readonly oid: number; readonly size: number }>> = {
  text: { oid: 25, size: -1 },
  int4: { oid: 23, size: 4 },
  int8: { oid: 20, size: 8 },
  numeric: { oid: 1700, size: -1 },
  bool: { oid: 16, size: 1 },
  bytea: { oid: 17, size: -1 },
};

export function rowDescription(columns: readonly ConsoleColumn[], formats: Formats): Buffer {
  return buildRowDescription(
    columns.map(({ name, type }, i) => ({
      name,
      typeOid: TYPES[type].oid,
      typeSize: TYPES[type].size,
      format: formatOf(type, formats, i),
    })),
  );
}

/** One DataRow message for each row. */
export function* rowsOf({ columns, rows }: ConsoleResult, formats: Formats): Generator<Buffer> {
  for (const row of rows) {
    yield buildDataRow(
      row.map((value, i) => {
        const type = columns?.[i]?.type ?? 'text';
        return value === null || formatOf(type, formats, i) === 0 ? value : binary(type, value);
      }),
    );
  }
}

/** A numeric has no short binary form, and is sent as text whatever was asked for. */
function formatOf(type: ConsoleType, formats: Formats, column: number): number {
  if (type === 'numeric') return 0;
  return formats.length === 1 ? formats[0]! : (formats[column] ?? 0);
}

function binary(type: ConsoleType, value: string): Buffer {
  const bytes = Buffer.alloc(Math.max(0, TYPES[type].size));
  if (type === 'int4') bytes.writeInt32BE(Number(value));
  else if (type === 'int8') bytes.writeBigInt64BE(BigInt(value));
  else if (type === 'bool') bytes[0] = value === 't' ? 1 : 0;
  else return Buffer.from(value);
  return bytes;
}
