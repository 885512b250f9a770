/** How the texts of a client's statements are to be read, by its parameters. */
import type { ParameterSet } from '../parameters.js';

/** Encodings in which a byte behind the first of a character may look like a quote or a backslash. */
const OPAQUE_ENCODINGS = new Set(['SJIS', 'SHIFT_JIS_2004', 'BIG5', 'GBK', 'UHC', 'GB18030', 'JOHAB']);

export interface TextRules {
  /** They can't be read. */
  readonly isOpaque: boolean;
  /** A backslash in a plain literal is a character like others. */
  readonly standardStrings: boolean;
}

/** Most clients have one and the same set of parameters. */
let latest: ParameterSet | null = null;
let rules: TextRules = { isOpaque: false, standardStrings: false };

/** Asked for each statement, so that mostly it is one comparison. */
export function textRules(parameters: ParameterSet): TextRules {
  if (parameters !== latest) {
    const { values } = parameters;
    latest = parameters;
    rules = {
      isOpaque: OPAQUE_ENCODINGS.has(values.get('client_encoding') ?? ''),
      standardStrings: values.get('standard_conforming_strings') === 'on',
    };
  }
  return rules;
}
