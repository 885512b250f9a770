/**
 * What is known of the statements of one database: a hash of a statement's text without its constants leads to what
 * the control plane has said of it. Until it has, a statement goes to the primary.
 */
import { hashStep } from '../../sql/lexer.js';
import { ShapeReader } from '../../sql/shape.js';
import { ShapeCache } from '../../sql/shape-cache.js';
import { copyBytes } from '../../wire/bytes.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import { JUDGED_TEXT_BYTES_MAX, SHAPE_BYTES_MAX, SHAPES_MAX } from '../limits.js';
import { CatalogueReading, type CatalogueSource } from './catalogue-reading.js';
import { QuestionBudget } from './question-budget.js';
import type { RouteAnswer, ShapeFacts } from './route-questions.js';
import { SearchPaths } from './search-paths.js';
import { ShapeRoute, ShapeStatistics } from './shape-route.js';

/** The first words of the statements that are judged: those that may run on a standby, and those whose shapes are few. */
const JUDGED = hashesOf('select values table with explain copy begin start insert update delete merge');
/** Of those that make or change objects, or may do so. */
const CHANGING = hashesOf('create alter drop do call import');

function hashesOf(words: string): ReadonlySet<number> {
  return new Set(words.split(' ').map((word) => Array.from(Buffer.from(word)).reduce(hashStep, 0)));
}

/** Odd numbers without a pattern, one for each half. */
const LOW_FACTOR = 0x9e3779b1;
const HIGH_FACTOR = 0xc2b2ae35;
const SEED_BYTES = 8;

function notJudged(reason: string): ShapeRoute {
  const nothing = { transaction: null, changesCatalogue: false, text: '' };
  const facts: ShapeFacts = { kind: 'other', mayRunOnStandby: false, reason, ...nothing };
  return new ShapeRoute(facts, null, new ShapeStatistics());
}

/** What is not known yet. */
const NOT_KNOWN: ShapeFacts = notJudged('it is not known yet');

/** How much is known, and how often it was of use. */
export interface ShapeFigures {
  readonly known: number;
  readonly hits: number;
  readonly misses: number;
  /** How many shapes had to leave for others ({@link SHAPES_MAX}). */
  readonly evictions: number;
  /** How many statements the control plane has been asked about. */
  readonly questions: number;
  /** How many it was not asked about, for there were too many questions (`QuestionBudget`). */
  readonly deferred: number;
  /** How often the search_paths were forgotten, and with them all that is known: there were {@link SEARCH_PATHS_MAX}. */
  readonly pathOverflows: number;
  /** 0: the catalogue has not been read yet. */
  readonly catalogueVersion: number;
}

/** See {@link Shapes.constructor}. */
type Context = Pick<GatewayContext, 'io' | 'slow'>;

export class Shapes {
  readonly catalogue: CatalogueReading;
  private readonly context: Context;
  private readonly database: Pick<Database, 'name' | 'definitionChanges'>;
  private readonly reader: ShapeReader;
  private readonly cache = new ShapeCache<ShapeRoute>(SHAPES_MAX);
  private readonly paths = new SearchPaths();
  /** Of the catalogue by which all that is valid was judged; 0: there is none yet, and nothing is known. */
  private version = 0;
  /** The hash of the statement at hand. */
  private low = 0;
  private high = 0;
  private questions = 0;
  private deferred = 0;
  private readonly budget = new QuestionBudget();
  /** {@link Database.definitionChanges} when it was looked at last. */
  private definitionChanges: number;
  private readonly unread = notJudged('it has no certain end, or depends on standard_conforming_strings');
  private readonly unjudged = notJudged('it is no query');
  private readonly tooLong = notJudged(`it is longer than ${JUDGED_TEXT_BYTES_MAX} bytes`);

  /** @param source where the database's catalogue is read */
  constructor(
    context: Context,
    database: Pick<Database, 'name' | 'definitionChanges'>,
    source: CatalogueSource,
  ) {
    this.context = context;
    this.database = database;
    this.definitionChanges = database.definitionChanges;
    const seed = new DataView(context.io.randomBytes(SEED_BYTES).buffer);
    this.reader = new ShapeReader([seed.getInt32(0), seed.getInt32(4)]);
    this.catalogue = new CatalogueReading(context, database.name, source, (version) => this.judgeBy(version));
  }

  /**
   * What is known of the text `bytes[start, end)`, without its zero byte; null: nothing yet, and it goes to the primary. Not
   * for encodings that can't be read (`TextRules.isOpaque`). Allocates nothing when something is known.
   *
   * @param standardStrings the server has `standard_conforming_strings = on` when it reads the text
   * @param path the setting `search_path` of the session; null: it isn't known
   * @param user whose name `"$user"` stands for in it
   */
  look(
    bytes: Uint8Array,
    start: number,
    end: number,
    standardStrings: boolean,
    path: string | null,
    user: string,
  ): ShapeRoute | null {
    if (this.version === 0) return null;
    if (end - start > SHAPE_BYTES_MAX) return this.tooLong;
    const { reader } = this;
    if (!reader.read(bytes, start, end, standardStrings)) return this.unread;
    const number = this.paths.numberOf(path, user);
    this.low = reader.low ^ Math.imul(number, LOW_FACTOR);
    this.high = reader.high ^ Math.imul(number, HIGH_FACTOR);
    const known = this.cache.get(this.low, this.high);
    if (known?.isValid === true) {
      if (known.changesCatalogue) this.catalogue.suspect();
      return known;
    }
    if (CHANGING.has(reader.firstWord)) this.catalogue.suspect();
    if (!JUDGED.has(reader.firstWord)) return this.unjudged;
    if (end - start > JUDGED_TEXT_BYTES_MAX) return this.tooLong;
    if (this.mayAsk(known, end - start)) {
      // A copy with memory of its own: it crosses to another thread together with all of its memory.
      const text = new Uint8Array(end - start);
      copyBytes(bytes, start, end, text, 0);
      this.ask(known, text, standardStrings, path, user);
    }
    return null;
  }

  /** A DDL, a CALL or the like has passed by: what statements name may soon be something else. */
  suspect(): void {
    this.catalogue.suspect();
  }

  /** Another node is the primary, or it can be reached again. */
  primaryChanged(): void {
    this.catalogue.retry();
  }

  /** Does what is due, and returns when to call it again, in ms. */
  advance(now: number): number {
    if (this.definitionChanges !== this.database.definitionChanges) {
      this.definitionChanges = this.database.definitionChanges;
      this.catalogue.suspect();
    }
    return this.catalogue.advance(now);
  }

  get figures(): ShapeFigures {
    const { hits, misses, evictions, size } = this.cache;
    const { questions, deferred, version } = this;
    const { overflows: pathOverflows } = this.paths;
    return {
      ...{ known: size, hits, misses, evictions, questions, deferred, pathOverflows },
      catalogueVersion: version,
    };
  }

  /** All of which something is known, in no order. */
  routes(): ShapeRoute[] {
    return [...this.cache.values(), this.unjudged, this.unread, this.tooLong];
  }

  private mayAsk(known: ShapeRoute | null, length: number): boolean {
    if (known?.isAsked === true) return false;
    if (this.budget.admits(length, this.context.io.now())) return true;
    this.deferred += 1;
    return false;
  }

  /** @param known what was known of the shape, if it was, with what is counted */
  private ask(
    known: ShapeRoute | null,
    text: Uint8Array,
    standardStrings: boolean,
    path: string | null,
    user: string,
  ): void {
    const { low, high } = this;
    const { length } = text;
    const place = known ?? new ShapeRoute(NOT_KNOWN, path, new ShapeStatistics());
    place.isValid = false;
    place.isAsked = true;
    if (known === null) this.cache.set(low, high, place);
    this.questions += 1;
    this.budget.asked(length);
    const question = {
      kind: 'statement',
      database: this.database.name,
      text,
      standardStrings,
      path,
      user,
    } as const;
    this.context.slow.ask(question, (answer) => {
      this.budget.answered(length);
      place.isAsked = false;
      const facts = answer.kind === 'statement' ? this.factsOf(answer) : null;
      if (facts !== null) this.cache.set(low, high, new ShapeRoute(facts, path, place.statistics));
    });
  }

  /** Null: they are of no use, and are to be asked for again. */
  private factsOf({ version, facts }: Extract<RouteAnswer, { kind: 'statement' }>): ShapeFacts | null {
    if (version === this.version) return facts;
    if (version === 0) {
      this.judgeBy(0);
      this.catalogue.forgotten();
    }
    return null;
  }

  /** Another catalogue: what was known has to be asked for again. */
  private judgeBy(version: number): void {
    if (version === this.version) return;
    this.version = version;
    for (const route of this.cache.values()) route.isValid = false;
  }
}
