/** The words of the console's language. */
import { ConsoleError } from './console-error.js';

export type Token =
  /** A name or keyword; `quoted` names keep their case and are never keywords. */
  | { readonly kind: 'word'; readonly text: string; readonly quoted: boolean }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly text: string }
  /** `$1`, ... */
  | { readonly kind: 'parameter'; readonly index: number }
  /** An operator, a parenthesis, a comma or `;`. */
  | { readonly kind: 'sign'; readonly text: string };

const PATTERNS: readonly (readonly [RegExp, (match: RegExpExecArray) => Token | null])[] = [
  [/\s+|--[^\n]*|\/\*[\s\S]*?\*\//y, () => null],
  [/'((?:[^']|'')*)'/y, ([, text]) => ({ kind: 'string', text: text!.replaceAll("''", "'") })],
  [/"((?:[^"]|"")+)"/y, ([, text]) => ({ kind: 'word', text: text!.replaceAll('""', '"'), quoted: true })],
  [/\$(\d{1,5})/y, ([, index]) => ({ kind: 'parameter', index: Number(index) })],
  [/-?\d+(?:\.\d+)?(?![\w.])/y, ([text]) => ({ kind: 'number', text })],
  // Names of settings and databases may have dots, dashes and digits anywhere.
  [/[\p{L}_][\p{L}\p{N}_.$-]*|\d[\w.]*/uy, ([text]) => ({ kind: 'word', text, quoted: false })],
  [/<>|!=|<=|>=|[=<>(),;*.:+~|[\]&!%^/-]/y, ([text]) => ({ kind: 'sign', text })],
];

/** @throws {ConsoleError} at a character that begins nothing */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    const found = matchAt(text, at);
    if (found === null) throw new ConsoleError(`syntax error at or near "${text.slice(at, at + 20)}"`);
    if (found.token !== null) tokens.push(found.token);
    at = found.end;
  }
  return tokens;
}

function matchAt(text: string, at: number): { token: Token | null; end: number } | null {
  for (const [pattern, make] of PATTERNS) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) return { token: make(match), end: pattern.lastIndex };
  }
  return null;
}
