/** The part of libpg-query's WebAssembly module that is used here; the package itself describes only its one instance. */
declare module 'libpg-query/wasm/libpg-query.js' {
  export interface PgQueryModule {
    /** The memory, anew each time that it has grown. */
    readonly HEAPU8: Uint8Array;
    readonly HEAPU32: Uint32Array;
    _malloc(size: number): number;
    _free(pointer: number): void;
    /** Takes a string that ends with a zero byte; returns a PgQueryParseResult (pg_query.h). */
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
  }
  export default function create(options: Readonly<Record<string, unknown>>): Promise<PgQueryModule>;
}
