/**
 * What routing asks of the control plane, where PostgreSQL's parser and the databases' catalogues are: they take more time and
 * memory than a reactor has. Values only: they cross between threads.
 */
import type { CataloguePart } from '../../routing/catalogue-queries.js';

/** Asks what is known of one statement, for all of its shape. */
export interface StatementQuestion {
  readonly kind: 'statement';
  /** The database by the name that clients know. */
  readonly database: string;
  readonly text: Uint8Array;
  /** The server has `standard_conforming_strings = on` when it reads the text. */
  readonly standardStrings: boolean;
  /** The setting `search_path` of the session; null: it isn't known. */
  readonly path: string | null;
  /** Whose name `"$user"` stands for in it. */
  readonly user: string;
}

/** Tells what a database's catalogue says; asks which version that is. */
export interface CatalogueQuestion {
  readonly kind: 'catalogue';
  readonly database: string;
  /** The rows of `CATALOGUE_QUERY`. */
  readonly parts: readonly CataloguePart[];
}

export type RouteQuestion = StatementQuestion | CatalogueQuestion;

/** How a transaction wants to begin; null: it doesn't say. */
export interface TransactionModes {
  readonly readOnly: boolean | null;
  /** In lower case: `repeatable read`. */
  readonly isolation: string | null;
  readonly deferrable: boolean | null;
}

/** What is to be known of all statements of one shape, in sessions with one search_path. */
export interface ShapeFacts {
  /** `begin`: a BEGIN or START TRANSACTION alone in its text. */
  readonly kind: 'read' | 'begin' | 'other';
  /** Of a `read` alone: outside of a transaction, or in one that runs there. It leaves nothing behind. */
  readonly mayRunOnStandby: boolean;
  /** Why, in words: a whole sentence without its stop. */
  readonly reason: string;
  /** Of a `begin`. */
  readonly transaction: TransactionModes | null;
  /** It makes or changes objects, although its first word doesn't say so: SELECT INTO. */
  readonly changesCatalogue: boolean;
  /** Its text without comments and constants. */
  readonly text: string;
}

export type RouteAnswer =
  /**
   * `version`: of the catalogue by which it was judged; 0: none is known. `facts` are null if the text could not be judged for
   * now, and another time may be better.
   */
  | { readonly kind: 'statement'; readonly version: number; readonly facts: ShapeFacts | null }
  /** `version`: another one than before if the catalogue is; 0: it could not be read. */
  | { readonly kind: 'catalogue'; readonly version: number };
