/** PostgreSQL's own suites, as they are run against one target. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SUPERUSER } from '../harness/postgres-server.js';
import { handOver, plainEnvironment, runGroup } from '../harness/process-group.js';
import type { ReadyCheckout } from './checkout.js';
import { readOutcome, type TestOutcome, testsOfSchedule } from './regress-output.js';

/** `pg_regress`, `pg_isolation_regress` and `libpq_pipeline`. */
export const SUITES = ['regress', 'isolation', 'pipeline'] as const;
export type SuiteName = (typeof SUITES)[number];

/** What a suite is run with. */
export interface SuiteRun {
  readonly checkout: ReadyCheckout;
  /** On 127.0.0.1. */
  readonly port: number;
  /** Where it leaves its output. */
  readonly folder: string;
  /** Only these; empty: all. */
  readonly tests: readonly string[];
  /** After which the suite is killed, in ms. */
  readonly limitMs: number;
  /** After which one test is killed, in ms. */
  readonly testLimitMs: number;
  /** After which a step of an isolation test is cancelled, in ms; whole seconds. */
  readonly stepLimitMs: number;
  /** Called after every test. */
  readonly outcome: (outcome: TestOutcome) => void;
}

/** What came of it. */
export interface SuiteResult {
  /** In the order of the schedule. */
  readonly tests: readonly string[];
  readonly passed: ReadonlySet<string>;
  readonly failed: ReadonlySet<string>;
  /** It was killed at its limit: what is neither passed nor failed did not come to its end. */
  readonly late: boolean;
  /** Where to look; null: there is nothing to be seen. */
  readonly details: string | null;
}

interface Suite {
  /** The database that its tests run in. */
  readonly database: string;
  run(options: SuiteRun): Promise<SuiteResult>;
}

/** As PostgreSQL's own call of libpq_pipeline. */
const PIPELINE_ROWS = 700;

export const suites: Readonly<Record<SuiteName, Suite>> = {
  regress: {
    database: 'regression',
    run: (options) => runDriver(options, 'regress', 'pg_regress', 'parallel_schedule', ['test_setup']),
  },
  isolation: {
    database: 'isolation_regression',
    run: (options) => runDriver(options, 'isolation', 'pg_isolation_regress', 'isolation_schedule', []),
  },
  pipeline: { database: 'postgres', run: runPipeline },
};

async function runDriver(
  options: SuiteRun,
  part: string,
  program: string,
  schedule: string,
  before: readonly string[],
): Promise<SuiteResult> {
  const { checkout, folder } = options;
  const home = join(checkout.tree, 'src', 'test', part);
  const whole = join(home, schedule);
  const tests = options.tests.length === 0 ? testsOfSchedule(readFileSync(whole, 'utf8')) : options.tests;
  const chosen = join(folder, 'schedule');
  if (options.tests.length > 0) writeFileSync(chosen, oneByOne([...before, ...tests]));
  const passed = new Set<string>();
  const failed = new Set<string>();
  const lines = new LineReader((line) => {
    const outcome = readOutcome(line);
    if (outcome === null || !tests.includes(outcome.test)) return;
    (outcome.passed ? passed : failed).add(outcome.test);
    options.outcome(outcome);
  });
  const { late, code } = await runGroup(
    join(home, program),
    [
      ...[
        `--inputdir=${home}`,
        `--outputdir=${folder}`,
        `--dlpath=${join(checkout.tree, 'src/test/regress')}`,
      ],
      ...[`--bindir=${checkout.programs}`, '--host=127.0.0.1', `--port=${options.port}`],
      ...[`--user=${SUPERUSER}`, '--max-concurrent-tests=20'],
      `--launcher=timeout --foreground --signal=KILL ${options.testLimitMs / 1000}`,
      `--schedule=${options.tests.length === 0 ? whole : chosen}`,
    ],
    {
      cwd: folder,
      env: plainEnvironment({
        ...libraries(checkout),
        PGISOLATIONTIMEOUT: String(options.stepLimitMs / 1000),
      }),
      limitMs: options.limitMs,
      output: (text) => lines.take(text),
    },
  );
  writeFileSync(join(folder, 'output.log'), lines.text);
  if (passed.size + failed.size === 0) throw new Error(`${program} ran no test (${code}):\n${lines.text}`);
  const details = failed.size > 0 || late ? join(folder, 'regression.diffs') : null;
  return { tests, passed, failed, late, details };
}

function oneByOne(tests: readonly string[]): string {
  return [...new Set(tests)].map((name) => `test: ${name}\n`).join('');
}

/** The driver's traces are compared as PostgreSQL's own call of it does, where there is an expected one. */
async function runPipeline(options: SuiteRun): Promise<SuiteResult> {
  const { checkout, folder, port } = options;
  const home = join(checkout.tree, 'src', 'test', 'modules', 'libpq_pipeline');
  const program = join(home, 'libpq_pipeline');
  const expected = new Set(readdirSync(join(home, 'traces')));
  const env = plainEnvironment(libraries(checkout));
  let listed = '';
  await runGroup(program, ['tests'], { cwd: folder, env, output: (text) => (listed += text) });
  const all = listed.trim().split(/\s+/);
  const tests = options.tests.length === 0 ? all : options.tests;
  const passed = new Set<string>();
  const failed = new Set<string>();
  const log: string[] = [];
  mkdirSync(join(folder, 'traces'));
  handOver(join(folder, 'traces'));
  for (const test of tests) {
    const trace = join(folder, 'traces', `${test}.trace`);
    const traced = expected.has(`${test}.trace`);
    const args = ['-r', String(PIPELINE_ROWS), ...(traced ? ['-t', trace] : [])];
    const target = `host=127.0.0.1 port=${port} user=${SUPERUSER} dbname=postgres`;
    let printed = '';
    const { code, late } = await runGroup(program, [...args, test, target], {
      cwd: folder,
      env,
      limitMs: options.testLimitMs,
      output: (text) => (printed += text),
    });
    const differs = traced && contents(trace) !== contents(join(home, 'traces', `${test}.trace`));
    (code === 0 && !differs ? passed : failed).add(test);
    if (code !== 0) log.push(`== ${test}: ${late ? 'killed at its limit' : `exit code ${code}`}\n${printed}`);
    else if (differs) log.push(`== ${test}: ${trace} differs from what is expected\n`);
    options.outcome({ test, passed: passed.has(test) });
  }
  const details = log.length === 0 ? null : join(folder, 'output.log');
  if (details !== null) writeFileSync(details, log.join(''));
  return { tests, passed, failed, late: false, details };
}

/** Empty when there is no such file: a test may fail before it has made it. */
function contents(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** The programs were built to find their libraries where they would be installed. */
function libraries(checkout: ReadyCheckout): Record<string, string> {
  return { LD_LIBRARY_PATH: join(checkout.tree, 'src', 'interfaces', 'libpq') };
}

class LineReader {
  /** All that came. */
  text = '';
  #seen = 0;
  readonly #take: (line: string) => void;

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  take(text: string): void {
    this.text += text;
    for (;;) {
      const end = this.text.indexOf('\n', this.#seen);
      if (end < 0) return;
      this.#take(this.text.slice(this.#seen, end));
      this.#seen = end + 1;
    }
  }
}
