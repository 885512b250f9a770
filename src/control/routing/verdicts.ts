/** Judges statements for the reactors, and keeps the catalogues of the databases by which it does. */
import { randomBytes } from 'node:crypto';
import type {
  RouteAnswer,
  RouteQuestion,
  ShapeFacts,
  StatementQuestion,
} from '../../core/route/route-questions.js';
import type { PostgresParser } from '../../grammar/postgres-parser.js';
import { type Catalogue, NO_CATALOGUE, type SearchPath } from '../../routing/catalogue.js';
import { CATALOGUE_ROWS_MAX, type CataloguePart } from '../../routing/catalogue-queries.js';
import { catalogueRows, loadedCatalogue } from '../../routing/loaded-catalogue.js';
import { schemasOfSetting } from '../../routing/search-path.js';
import { decideStandby, followHint, type StandbyDecision } from '../../routing/standby-decision.js';
import { StatementJudge } from '../../routing/statement-judge.js';
import type { StatementVerdict } from '../../routing/statement-verdict.js';
import { routingHint } from '../../sql/routing-hint.js';
import { shapeText } from '../../sql/shape-text.js';

/** How many databases' catalogues are kept; of the others' statements nothing is known until they are read again. */
const CATALOGUES_MAX = 100;
/** A longer text of a shape is cut when it is shown. Bytes. */
const SHAPE_TEXT_BYTES_MAX = 300;

/** A database as it was read last. */
interface KnownDatabase {
  readonly version: number;
  /** Null: it has more objects than are looked at. */
  readonly catalogue: Catalogue | null;
}

/** Where a statement would go, for `SHOW ROUTE`. */
export interface Explanation {
  readonly verdict: StatementVerdict;
  readonly decision: StandbyDecision;
}

const TOO_MANY: StandbyDecision = {
  mayRunOnStandby: false,
  reason: `the database has more than ${CATALOGUE_ROWS_MAX} relations or functions`,
  assumptions: [],
};
const NOT_READ: StandbyDecision = {
  mayRunOnStandby: false,
  reason: "the database's catalogue has not been read yet, which is done when its first client comes",
  assumptions: [],
};

export class Verdicts {
  /** In the order in which they were read or used. */
  readonly #databases = new Map<string, KnownDatabase>();
  readonly #warn: (message: string) => void;
  #judge: Promise<StatementJudge> | null = null;
  #parser: PostgresParser | null = null;
  #lastVersion = 0;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** How often the parser was made anew, since a text had broken it or its memory had grown too large. */
  get parserReplacements(): number {
    return this.#parser?.replaced ?? 0;
  }

  /** Never rejects. */
  async answer(question: RouteQuestion): Promise<RouteAnswer> {
    const { kind, database } = question;
    if (kind === 'catalogue') return { kind, version: this.#load(database, question.parts) };
    try {
      return await this.#judged(question);
    } catch (error) {
      this.#warn(`database ${database}: a statement could not be judged: ${(error as Error).message}`);
      return { kind, version: this.#databases.get(database)?.version ?? 0, facts: null };
    }
  }

  /**
   * Where a statement would go whose session's search_path is not known.
   * @throws when the parser can't be loaded
   */
  async explain(database: string, sql: string): Promise<Explanation> {
    const text = Buffer.from(sql);
    const { verdict } = (await this.#open()).judge(text, 0, text.length, true);
    const known = this.#databases.get(database);
    const decision = known === undefined ? NOT_READ : decide(verdict, known, null);
    return { verdict, decision: followHint(decision, verdict, routingHint(text, 0, text.length)) };
  }

  async #judged(question: StatementQuestion): Promise<RouteAnswer> {
    const { kind, database, text, standardStrings, path, user } = question;
    const judge = await this.#open();
    const known = this.#use(database);
    if (known === undefined) return { kind, version: 0, facts: null };
    const { version } = known;
    const shape = judge.judge(text, 0, text.length, standardStrings);
    if (!shape.isLasting) return { kind, version, facts: null };
    const schemas = path === null ? null : schemasOfSetting(path, user);
    const decision = decide(shape.verdict, known, schemas);
    return { kind, version, facts: factsOf(shape.verdict, decision, text) };
  }

  /** The parser is loaded for the first statement: it takes tens of megabytes. */
  #open(): Promise<StatementJudge> {
    this.#judge ??= this.#openJudge();
    this.#judge.catch(() => {
      this.#judge = null;
    });
    return this.#judge;
  }

  async #openJudge(): Promise<StatementJudge> {
    const { PostgresParser } = await import('../../grammar/postgres-parser.js');
    this.#parser = await PostgresParser.open();
    const seed = randomBytes(8);
    return new StatementJudge(this.#parser, [seed.readInt32LE(0), seed.readInt32LE(4)]);
  }

  #load(database: string, parts: readonly CataloguePart[]): number {
    let catalogue: Catalogue | null;
    try {
      catalogue = loadedCatalogue(catalogueRows(parts));
    } catch (error) {
      this.#warn(`database ${database}: its catalogue is not as it should be: ${(error as Error).message}`);
      return 0;
    }
    if (catalogue === null) this.#warn(`${database}: ${TOO_MANY.reason}, and its reads stay on the primary`);
    this.#lastVersion += 1;
    this.#databases.delete(database);
    this.#databases.set(database, { version: this.#lastVersion, catalogue });
    if (this.#databases.size > CATALOGUES_MAX) {
      for (const oldest of this.#databases.keys()) {
        this.#databases.delete(oldest);
        break;
      }
    }
    return this.#lastVersion;
  }

  #use(database: string): KnownDatabase | undefined {
    const known = this.#databases.get(database);
    if (known === undefined) return undefined;
    this.#databases.delete(database);
    this.#databases.set(database, known);
    return known;
  }
}

function decide(verdict: StatementVerdict, { catalogue }: KnownDatabase, path: SearchPath): StandbyDecision {
  if (catalogue !== null) return decideStandby(verdict, catalogue, path);
  return verdict.kind === 'read' ? TOO_MANY : decideStandby(verdict, NO_CATALOGUE, path);
}

/** PostgreSQL's own message may quote a constant of the text. */
const NOT_PARSED = "it is empty, or not what PostgreSQL's grammar knows";

function factsOf(verdict: StatementVerdict, decision: StandbyDecision, text: Uint8Array): ShapeFacts {
  const { kind, transaction, statementCount, changesObjects } = verdict;
  const begins = statementCount === 1 && transaction?.action === 'begin';
  return {
    kind: begins ? 'begin' : kind === 'read' ? 'read' : 'other',
    mayRunOnStandby: decision.mayRunOnStandby,
    reason: statementCount === 0 ? NOT_PARSED : decision.reason,
    transaction: begins
      ? {
          readOnly: transaction.readOnly,
          isolation: transaction.isolation,
          deferrable: transaction.deferrable,
        }
      : null,
    changesCatalogue: changesObjects,
    text: shapeText(text, 0, text.length, SHAPE_TEXT_BYTES_MAX),
  };
}
