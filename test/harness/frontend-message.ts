/** Messages that clients send, in the short forms that scripts of tests are written in. */
import {
  buildBind,
  buildClose,
  buildCopyData,
  buildCopyDone,
  buildCopyFail,
  buildDescribe,
  buildExecute,
  buildFlush,
  buildFunctionCall,
  buildParse,
  buildQuery,
  buildSync,
  buildTerminate,
} from '../../src/wire/client-messages.js';

/** Object ids of the types that tests use (PostgreSQL's `pg_type`). */
export const INT4 = 23;
export const TEXT = 25;

/** A parameter's text, its bytes, or NULL. */
export type Value = string | Uint8Array | null;

export const query = buildQuery;
export const parse = buildParse;
export const execute = buildExecute;
export const sync = buildSync;
export const flush = buildFlush;
export const terminate = buildTerminate;
export const copyData = buildCopyData;
export const copyDone = buildCopyDone;
export const copyFail = buildCopyFail;

/** `formats`: 0 is text, 1 is binary; of the parameters and of the result. */
export function bind(
  portal: string,
  statement: string,
  parameters: readonly Value[] = [],
  formats: { readonly parameters?: readonly number[]; readonly results?: readonly number[] } = {},
): Buffer {
  return buildBind({
    portal,
    statement,
    parameters,
    parameterFormats: formats.parameters ?? [],
    resultFormats: formats.results ?? [],
  });
}

export function describeStatement(name: string): Buffer {
  return buildDescribe('S', name);
}

export function describePortal(name: string): Buffer {
  return buildDescribe('P', name);
}

export function closeStatement(name: string): Buffer {
  return buildClose('S', name);
}

export function closePortal(name: string): Buffer {
  return buildClose('P', name);
}

/** A call of a function by its object id, all in text form. */
export function functionCall(functionOid: number, values: readonly Value[]): Buffer {
  return buildFunctionCall({ functionOid, argumentFormats: [], arguments: values, resultFormat: 0 });
}

/** Parse, Bind, Describe and Execute of the unnamed statement and portal, and Sync. */
export function extended(sql: string, values: readonly Value[] = []): Buffer {
  return Buffer.concat([parse('', sql), bind('', '', values), describePortal(''), execute(''), sync()]);
}
