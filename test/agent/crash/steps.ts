/**
 * Everything that an agent changes outside of itself, counted: files, programs that it starts, signals, and statements that do
 * something. So that its life can be ended before any of them, in a process of its own.
 */
import childProcess from 'node:child_process';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import pg from 'pg';

/** In the middle of what takes long: so long after it has begun. ms. */
const MIDDLES_MS = [5, 40];
/** Programs and statements that have a middle. */
const LONG = /pg_basebackup|pg_rewind|initdb|pg_promote/;
/** Statements that change something; what is only looked at leaves nothing behind. */
const CHANGES =
  /pg_promote|pg_wal_replay_|pg_terminate_backend|emit_message|^\s*(?:ALTER|CREATE|GRANT|CHECKPOINT)/;

const FILE_WORK = ['writeFile', 'rename', 'rm', 'mkdir', 'copyFile', 'link', 'chmod', 'chown'] as const;

type AnyFunction = (...args: unknown[]) => unknown;

let isCounting = false;
let killAt: number | string = 0;
const names: string[] = [];

/** From now on this process kills itself before the step of that number, the first being 1, or of that name. */
export function armKill(at: number | string): void {
  killAt = at;
  isCounting = true;
}

/** The steps that have been counted, in their order. */
export function countedSteps(): readonly string[] {
  return names;
}

function kill(): void {
  process.kill(process.pid, 'SIGKILL');
}

function step(name: string): void {
  if (!isCounting) return;
  names.push(name);
  if (isChosen(name)) kill();
}

/** The last one. */
function isChosen(name: string): boolean {
  return names.length === killAt || name === killAt;
}

/** Has its beginning and its middles. */
function longStep(name: string): void {
  step(name);
  if (!isCounting || !LONG.test(name)) return;
  for (const ms of MIDDLES_MS) {
    const middle = `${name}, ${ms} ms later`;
    names.push(middle);
    if (isChosen(middle)) setTimeout(kill, ms);
  }
}

function wrap(target: object, key: string, nameOf: (args: unknown[]) => string | null): void {
  const functions = target as Record<string, AnyFunction>;
  const original = functions[key] as AnyFunction;
  functions[key] = function (this: unknown, ...args: unknown[]) {
    const name = nameOf(args);
    if (name !== null) longStep(name);
    return original.apply(this, args);
  };
}

for (const work of FILE_WORK) wrap(promises, work, ([path]) => `${work} ${basename(String(path))}`);
wrap(promises, 'open', ([path, flags]) =>
  flags === 'w' || flags === 'a' ? `open ${basename(String(path))}` : null,
);
wrap(childProcess, 'spawn', ([program]) => `spawn ${basename(String(program))}`);
wrap(childProcess.ChildProcess.prototype, 'kill', ([signal]) => `send ${signal}`);
wrap(pg.Client.prototype, 'query', ([query]) => {
  const text = typeof query === 'string' ? query : (query as pg.QueryConfig).text;
  return CHANGES.test(text) ? `query ${text.slice(0, 40)}` : null;
});
syncBuiltinESMExports();
