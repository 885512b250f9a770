/**
 * PostgreSQL 18's own parser, as libpg_query takes it out of the server and libpg-query compiles it to WebAssembly.
 *
 * It runs where it is called, in 10 to 50 us for common statements. An instance that has failed in any other way than by a
 * syntax error (its stack is bounded by the thread's, its memory by 1 GiB) is in doubt, and replaced by a new one, though
 * not more often than once a second; until that is there, nothing is parsed, and so nothing is sent to a standby.
 */
import { setFlagsFromString } from 'node:v8';
import create, { type PgQueryModule } from 'libpg-query/wasm/libpg-query.js';
import type { ParseFailure, ParseTree, SqlParser } from '../routing/parse-tree.js';

/** The longest text, in bytes, that is parsed: a tree takes up to 300 times the memory of its text for a moment. */
export const PARSED_BYTES_MAX = 65_536;
/** The memory of an instance, in bytes, from which on it is replaced; it begins with 128 MiB, mostly untouched. */
const INSTANCE_BYTES_MAX = 192 * 1024 * 1024;

/** The shortest time between two instances, in ms: whoever sends texts that break them must not keep the thread busy. */
const INSTANCE_MS_MIN = 1000;

/** Fields of PgQueryParseResult and PgQueryError, in words of 32 bits. */
const TREE = 0;
const ERROR = 2;
const MESSAGE = 0;

/**
 * V8's optimizing compiler needs more than 500 MB for a moment for the grammar's largest functions (Node.js 24), right when the
 * first clients come: a container with a limit is killed then. Without it a statement takes 10.5 us instead of 8.
 */
for (const flag of ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag);

const SILENT = { print: () => undefined, printErr: () => undefined };

/** See {@link SqlParser}. */
export class PostgresParser implements SqlParser {
  /** How many instances had to be replaced. */
  replaced = 0;
  #instance: PgQueryModule | null;
  #openedAt = Number.NEGATIVE_INFINITY;

  private constructor(instance: PgQueryModule) {
    this.#instance = instance;
  }

  /** Compiles the module, in some ten milliseconds. */
  static async open(): Promise<PostgresParser> {
    return new PostgresParser(await create(SILENT));
  }

  parse(bytes: Uint8Array, start: number, end: number): ParseTree | ParseFailure {
    if (end - start > PARSED_BYTES_MAX) return { failure: `it is longer than ${PARSED_BYTES_MAX} bytes` };
    const text = bytes.subarray(start, end);
    if (text.includes(0)) return { failure: 'it has a zero byte' };
    const instance = this.#instance;
    if (instance === null) return { failure: 'the parser is being replaced' };
    try {
      const result = parseIn(instance, text);
      if (instance.HEAPU8.length > INSTANCE_BYTES_MAX) this.#replace();
      return typeof result === 'string' ? (JSON.parse(result) as ParseTree) : result;
    } catch {
      this.#replace();
      return { failure: 'it is too much for the parser', final: true };
    }
  }

  #replace(): void {
    this.#instance = null;
    this.replaced += 1;
    this.#openAfter(Math.max(0, this.#openedAt + INSTANCE_MS_MIN - performance.now()));
  }

  async #open(): Promise<void> {
    try {
      this.#instance = await create(SILENT);
      this.#openedAt = performance.now();
    } catch {
      // There is no memory for another; until there is, statements go to the primary.
      this.#openAfter(INSTANCE_MS_MIN);
    }
  }

  #openAfter(ms: number): void {
    setTimeout(() => void this.#open(), ms).unref();
  }
}

/** @returns the tree as JSON */
function parseIn(instance: PgQueryModule, text: Uint8Array): string | ParseFailure {
  const pointer = instance._malloc(text.length + 1);
  instance.HEAPU8.set(text, pointer);
  instance.HEAPU8[pointer + text.length] = 0;
  const result = instance._wasm_parse_query_raw(pointer);
  const words = instance.HEAPU32;
  const error = words[(result >> 2) + ERROR]!;
  const answer =
    error === 0
      ? stringAt(instance, words[(result >> 2) + TREE]!)
      : ({ failure: stringAt(instance, words[(error >> 2) + MESSAGE]!), final: true } as const);
  instance._wasm_free_parse_result(result);
  instance._free(pointer);
  return answer;
}

function stringAt({ HEAPU8 }: PgQueryModule, pointer: number): string {
  const end = HEAPU8.indexOf(0, pointer);
  return Buffer.from(HEAPU8.buffer, HEAPU8.byteOffset + pointer, end - pointer).toString();
}
