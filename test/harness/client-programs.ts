/** PostgreSQL's own client programs, pointed at a server or a gateway. */
import { type Finished, type RunOptions, run, succeed } from './command.js';
import { postgresProgram } from './postgres-binaries.js';
import { DATABASE, SUPERUSER } from './postgres-server.js';

export interface Target {
  readonly host: string;
  readonly port: number;
}

function at(target: Target, user: string, database: string): string[] {
  return ['-h', target.host, '-p', `${target.port}`, '-U', user, '-d', database];
}

/** Never asks for a password: a missing one is an error. */
const NO_PROMPT = ['-w'];
const NO_FILES = { PGPASSFILE: '/nonexistent', PSQLRC: '/nonexistent', LC_ALL: 'C' };

export interface PsqlOptions extends RunOptions {
  readonly user?: string;
  readonly database?: string;
  readonly password?: string;
}

/** Runs psql with these arguments, whatever comes of it. */
export function psql(target: Target, args: readonly string[], options: PsqlOptions = {}): Promise<Finished> {
  const { user = SUPERUSER, database = DATABASE, password, env, ...rest } = options;
  const secret: Record<string, string> = password === undefined ? {} : { PGPASSWORD: password };
  return run(postgresProgram('psql'), ['-X', ...NO_PROMPT, ...at(target, user, database), ...args], {
    ...rest,
    env: { ...NO_FILES, ...secret, ...env },
  });
}

/** Runs one statement or psql command; throws when it fails. Gives unaligned rows without headings. */
export async function ask(target: Target, sql: string, options: PsqlOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await psql(target, ['-At', '-v', 'ON_ERROR_STOP=1', '-c', sql], options);
  if (code !== 0) throw new Error(`psql -c ${JSON.stringify(sql)} ended with ${code}: ${stderr}`);
  return stdout.trimEnd();
}

/** Runs pgbench; throws when it fails, and when it reports failed transactions. Gives its report. */
export async function pgbench(target: Target, args: readonly string[]): Promise<string> {
  const program = postgresProgram('pgbench');
  const where = ['-h', target.host, '-p', `${target.port}`, '-U', SUPERUSER];
  const { code, stdout, stderr } = await run(program, [...where, ...args, DATABASE], { env: NO_FILES });
  const report = `${stdout}\n${stderr}`;
  if (code !== 0) throw new Error(`pgbench ${args.join(' ')} ended with ${code}:\n${report}`);
  const failed = /number of failed transactions: (\d+)/.exec(stdout)?.[1];
  if (failed !== '0' && !args.includes('-i')) throw new Error(`pgbench reports failures:\n${report}`);
  return report;
}

/** Runs pg_dump or pg_restore; throws when it fails. */
export function dumpProgram(
  program: 'pg_dump' | 'pg_restore',
  target: Target,
  database: string,
  args: readonly string[],
): Promise<string> {
  return succeed(postgresProgram(program), [...NO_PROMPT, ...at(target, SUPERUSER, database), ...args], {
    env: NO_FILES,
  });
}
