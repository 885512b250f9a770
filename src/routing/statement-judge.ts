/**
 * Judges the statements of many clients, each shape once: the lexer's hash of a text, what is known of that shape, and the
 * parser where nothing is.
 */
import { ShapeReader } from '../sql/shape.js';
import { ShapeCache } from '../sql/shape-cache.js';
import type { SqlParser } from './parse-tree.js';
import { judgeStatement, type StatementVerdict } from './statement-verdict.js';

/** Longer texts, in bytes, are not read: they go to the primary. */
export const JUDGED_BYTES_MAX = 1_048_576;
/** How many shapes are remembered. */
export const SHAPES_MAX = 8192;
/** And how long their texts may be together, in bytes: what is known of one takes up to 30 times the memory of its text. */
const SHAPES_BYTES_MAX = 4 * 1024 * 1024;

/** What is known of a shape. */
export interface JudgedShape {
  readonly verdict: StatementVerdict;
  /** False: another time more might be known of the same text, since the parser was not there. */
  readonly isLasting: boolean;
}

const TOO_LONG = lasting(judgeStatement({ failure: `it is longer than ${JUDGED_BYTES_MAX} bytes` }));
const UNCERTAIN = lasting(
  judgeStatement({ failure: 'it has no certain end, or depends on standard_conforming_strings' }),
);

function lasting(verdict: StatementVerdict): JudgedShape {
  return { verdict, isLasting: true };
}

/** The memory of statements. Not for the client encodings that the lexer can't read (see `lexer.ts`). */
export class StatementJudge {
  readonly shapes: ShapeCache<JudgedShape>;
  readonly #reader: ShapeReader;
  readonly #parser: SqlParser;
  /** Of texts since it was forgotten last what was known of them. */
  #bytes = 0;

  /** @param seed two integers of 32 bits that no client knows */
  constructor(parser: SqlParser, seed: readonly [number, number], shapesMax: number = SHAPES_MAX) {
    this.#parser = parser;
    this.#reader = new ShapeReader(seed);
    this.shapes = new ShapeCache(shapesMax);
  }

  /**
   * What is known of the text `bytes[start, end)`, without its zero byte. Allocates nothing if its shape is known.
   *
   * @param standardStrings the server has `standard_conforming_strings = on` when it reads the text
   */
  judge(bytes: Uint8Array, start: number, end: number, standardStrings: boolean): JudgedShape {
    if (end - start > JUDGED_BYTES_MAX) return TOO_LONG;
    const reader = this.#reader;
    if (!reader.read(bytes, start, end, standardStrings)) return UNCERTAIN;
    const known = this.shapes.get(reader.low, reader.high);
    if (known !== null) return known;
    const parsed = this.#parser.parse(bytes, start, end);
    // A text may be too long for the parser, or come while there is none, where another of its shape is not.
    const isLasting = !('failure' in parsed) || parsed.final === true;
    const judged = { verdict: judgeStatement(parsed), isLasting };
    if (isLasting) this.#remember(judged, end - start);
    return judged;
  }

  #remember(judged: JudgedShape, bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > SHAPES_BYTES_MAX) {
      this.shapes.clear();
      this.#bytes = bytes;
    }
    this.shapes.set(this.#reader.low, this.#reader.high, judged);
  }
}
