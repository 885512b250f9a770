/** Pieces that messages of both directions are made of: format codes, and values behind their lengths. */
import type { MessageWriter } from './message-writer.js';
import { encodeText } from './text.js';

/** A parameter's or a column's value: text, the bytes as they stand, or NULL. */
export type Value = string | Uint8Array | null;

/** The Int16 count and the format codes: 0 text, 1 binary. */
export function putFormats(body: MessageWriter, formats: readonly number[]): void {
  body.int16(formats.length);
  for (const format of formats) body.int16(format);
}

/** The Int16 count, then each value behind its Int32 length. */
export function putValues(body: MessageWriter, values: readonly Value[]): void {
  body.int16(values.length);
  for (const value of values) putValue(body, value);
}

/** One value behind its Int32 length; -1 for NULL. */
export function putValue(body: MessageWriter, value: Value): void {
  if (value === null) {
    body.int32(-1);
    return;
  }
  const bytes = typeof value === 'string' ? encodeText(value) : value;
  body.int32(bytes.length).bytes(bytes);
}
