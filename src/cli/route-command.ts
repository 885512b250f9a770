/** `sluice route`: where a statement would go, and why. */
import { type Command, InvalidArgumentError } from 'commander';
import type { SearchPath } from '../routing/catalogue.js';
import type { StandbyDecision } from '../routing/standby-decision.js';
import { usesText } from '../routing/statement-uses.js';
import type { StatementVerdict } from '../routing/statement-verdict.js';
import { UsageError } from './usage-error.js';

interface RouteFlags {
  readonly catalogueFrom?: string;
  readonly searchPath?: string;
  readonly timeout: number;
  readonly json?: true;
}

const EXIT_CODES = { standby: 0, primary: 1, failed: 2 } as const;

const NOTHING_TO_ROUTE = `nothing to look at: give a statement, or - for standard input, for example
  sluice route "SELECT * FROM accounts"
  sluice route - < statement.sql`;

const TEXT = `
The statement is parsed by PostgreSQL's own grammar and looked at by the rules of routing: a statement that only reads may
run on a standby. Everything else goes to the primary, and so does what is not understood.

What a text doesn't show is in the database: which functions write, which tables are foreign or unlogged, what a view
calls. --catalogue-from reads it from there, and changes nothing; any user may ask. Without it, functions are known if
they are PostgreSQL's own, and every relation is assumed to be an ordinary table.

Comments in front of the statement are followed: /* sluice: primary */, /* sluice: standby */ (or replica), and Pgpool-II's
/*NO LOAD BALANCE*/. The words strong, session, bounded and eventual name the consistency that it needs, which has no
meaning here.

Exit code: 0 if it may run on a standby, 1 if it goes to the primary, 2 if that can't be told (the database does not
answer, the command was called in a wrong way).

Examples:
  sluice route "SELECT now(), count(*) FROM accounts"
      By the text alone.
  sluice route "SELECT total(7)" --catalogue-from postgres://app@db.example/app
      May the function total() run on a standby? A password that the URL lacks is taken from PGPASSWORD.
  sluice route --json - < report.sql
      The same for a program.`;

/** Adds `route` to the command line. */
export function registerRoute(program: Command): void {
  program
    .command('route')
    .summary('where a statement would go, and why')
    .description('Says whether a statement may run on a standby, and why not.')
    .argument('[STATEMENT]', 'one SQL text, as a client would send it; - reads it from standard input')
    .option('-c, --catalogue-from <URL>', 'the database that knows the functions and relations')
    .option(
      '-p, --search-path <SCHEMAS>',
      "the session's schemas, with commas; default: that of the URL's user",
    )
    .option('-t, --timeout <SECONDS>', 'how long the database may take to answer', seconds, 30)
    .option('--json', 'print JSON')
    .addHelpText('after', TEXT)
    .action(route);
}

function seconds(value: string): number {
  const number = Number(value);
  if (!(number > 0 && number <= 3600)) throw new InvalidArgumentError('a number of seconds up to 3600');
  return number;
}

async function route(statement: string | undefined, flags: RouteFlags): Promise<void> {
  if (statement === undefined) throw new UsageError(NOTHING_TO_ROUTE);
  const text = statement === '-' ? await standardInput() : Buffer.from(statement);
  const [
    { PostgresParser },
    { judgeStatement },
    { decideStandby, followHint },
    { NO_CATALOGUE },
    { routingHint, RoutingHint },
  ] = await Promise.all([
    import('../grammar/postgres-parser.js'),
    import('../routing/statement-verdict.js'),
    import('../routing/standby-decision.js'),
    import('../routing/catalogue.js'),
    import('../sql/routing-hint.js'),
  ]);
  const parser = await PostgresParser.open();
  const verdict = judgeStatement(parser.parse(text, 0, text.length));
  const facts = await databaseFacts(flags);
  if (facts === undefined) return;
  const path = flags.searchPath?.split(',').map((name) => name.trim()) ?? facts?.searchPath ?? null;
  const hint = routingHint(text, 0, text.length);
  if ((hint & RoutingHint.UNKNOWN) !== 0) {
    process.stderr.write(
      'sluice: a comment has a word behind "sluice:" that is no hint (--help lists them)\n',
    );
  }
  const decision = followHint(decideStandby(verdict, facts?.catalogue ?? NO_CATALOGUE, path), verdict, hint);
  process.stdout.write(flags.json ? asJson(verdict, decision, path) : asText(verdict, decision));
  process.exitCode = decision.mayRunOnStandby ? EXIT_CODES.standby : EXIT_CODES.primary;
}

/** Null: none are wanted. Undefined: they can't be had, and the reason has been printed. */
async function databaseFacts({ catalogueFrom, timeout }: RouteFlags) {
  if (catalogueFrom === undefined) return null;
  const [{ parseServerUrl, UrlError }, { readCatalogue }] = await Promise.all([
    import('../config/server-url.js'),
    import('../control/routing/read-catalogue.js'),
  ]);
  try {
    parseServerUrl(catalogueFrom);
    return await readCatalogue(catalogueFrom, timeout * 1000);
  } catch (error) {
    if (error instanceof UrlError) throw new UsageError(`--catalogue-from: ${error.message}`);
    const { message, code } = error as Error & { code?: string };
    process.stderr.write(`sluice: the catalogue could not be read: ${message || code}\n`);
    process.exitCode = EXIT_CODES.failed;
    return undefined;
  }
}

async function standardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function asText(
  verdict: StatementVerdict,
  { mayRunOnStandby, reason, assumptions }: StandbyDecision,
): string {
  const lines = [`${mayRunOnStandby ? 'standby' : 'primary'}: ${reason}`, `  kind: ${verdict.kind}`];
  const { relations, functions } = usesText(verdict.uses);
  if (relations !== '') lines.push(`  relations: ${relations}`);
  if (functions !== '') lines.push(`  functions: ${functions}`);
  lines.push(...assumptions.map((assumption) => `  assumed: ${assumption}`));
  return `${lines.join('\n')}\n`;
}

function asJson(verdict: StatementVerdict, decision: StandbyDecision, searchPath: SearchPath): string {
  const { uses, ...rest } = verdict;
  const named = uses === null ? null : { relations: uses.relations, functions: uses.functions };
  const { mayRunOnStandby, reason, assumptions } = decision;
  const target = mayRunOnStandby ? 'standby' : 'primary';
  return `${JSON.stringify({ target, reason, assumptions, searchPath, verdict: { ...rest, ...named } }, null, 2)}\n`;
}
