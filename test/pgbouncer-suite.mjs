/**
 * Runs PgBouncer's own pytest suite against `sluice pgbouncer`, from a checkout of pgbouncer/pgbouncer:
 *
 *   node test/pgbouncer-suite.mjs CHECKOUT [argument of pytest...]
 *   node test/pgbouncer-suite.mjs ../pgbouncer test_admin.py -k pause
 *
 * BOUNCER_EXE names another program to be tested (PgBouncer itself, for one). Nothing is written into the checkout.
 * Needs python3 with pytest, pytest-asyncio, pytest-timeout, pytest-xdist, filelock and psycopg, and PostgreSQL's
 * programs, openssl and socat. Prints every test that failed, then `N of M`, and ends with 0 if all passed.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT = dirname(dirname(fileURLToPath(import.meta.url)));
const COMPILED = join(PROJECT, 'dist');
const PROGRAM = join(COMPILED, 'src', 'cli', 'main.js');
const { handOver, runGroup } = await import(join(COMPILED, 'test/harness/process-group.js'));
const { programFolders } = await import(join(COMPILED, 'test/harness/postgres-binaries.js'));
const TEST_LIMIT_S = 60;
/** Of Python 3.11: its parser fails at times when pytest formats a traceback by itself, and the whole run with it. */
const TRACEBACKS = '--tb=native';
const PROCESSES = 4;

const [checkout, ...pytestArguments] = process.argv.slice(2);
if (checkout === undefined || !existsSync(join(checkout, 'test', 'test.ini'))) {
  console.error('usage: node test/pgbouncer-suite.mjs CHECKOUT [argument of pytest...]');
  console.error('CHECKOUT is a working copy of https://github.com/pgbouncer/pgbouncer');
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'pgbouncer-suite-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** The suite finds what it needs beside itself: a build's configuration and one header. */
function layOut() {
  cpSync(join(checkout, 'test'), join(scratch, 'test'), { recursive: true });
  cpSync(join(checkout, 'pyproject.toml'), join(scratch, 'pyproject.toml'));
  mkdirSync(join(scratch, 'include'));
  cpSync(join(checkout, 'include', 'bouncer.h'), join(scratch, 'include', 'bouncer.h'));
  writeFileSync(join(scratch, 'config.mak'), 'tls_support = yes\nldap_support = no\n');
  const program = join(scratch, 'pgbouncer');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' pgbouncer "$@"\n`);
  chmodSync(program, 0o755);
  // Its proxy would listen on every address of the machine.
  const source = join(scratch, 'test', 'utils.py');
  const text = readFileSync(source, 'utf8');
  writeFileSync(source, text.replaceAll('reuseaddr,fork"', 'bind=127.0.0.1,reuseaddr,fork"'));
  chmodSync(scratch, 0o755);
  return process.env.BOUNCER_EXE ?? program;
}

const bouncer = layOut();
handOver(scratch);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
let output = '';
const { code } = await runGroup(
  process.env.PYTHON ?? (existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'),
  [
    ...['-m', 'pytest', '-p', 'no:cacheprovider', '-q', '-rfE', TRACEBACKS],
    ...[`--timeout=${TEST_LIMIT_S}`, '--timeout-method=signal'],
    ...['-n', String(PROCESSES), `--basetemp=${join(scratch, 'tmp')}`],
    ...pytestArguments,
  ],
  {
    cwd: join(scratch, 'test'),
    env: {
      ...process.env,
      BOUNCER_EXE: bouncer,
      HOME: scratch,
      PYTHONDONTWRITEBYTECODE: '1',
      PATH: [...programFolders(), process.env.PATH].join(delimiter),
    },
    output: (text) => {
      output += text;
      process.stdout.write(text);
    },
  },
);
const last = output.trimEnd().split('\n').at(-1) ?? '';
const count = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(last)?.[1] ?? 0);
const passed = count('passed');
console.log(`${passed} of ${passed + count('failed') + count('errors?')}`);
process.exitCode = code === 0 ? 0 : 1;
