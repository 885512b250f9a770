/** The I/O drivers that work on this machine: every integration test runs over each of them. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'node:test';
import { run } from './command.js';
import { DRIVERS, type Driver, GATEWAY_PROGRAM } from './gateway-under-test.js';
import { freePort, scratchRoot } from './scratch.js';
import { until } from './until.js';

/**
 * Those of `SLUICE_TEST_IO` (names with commas between), else all that the gateway starts with; without the one that
 * `SLUICE_TEST_WITHOUT_IO` names if all three are there.
 */
export const availableDrivers: readonly Driver[] = withoutOne(await findDrivers());

function withoutOne(found: readonly Driver[]): readonly Driver[] {
  const unwanted = process.env.SLUICE_TEST_WITHOUT_IO;
  return found.length < DRIVERS.length ? found : found.filter((driver) => driver !== unwanted);
}

/**
 * One driver alone, `preferred` if it is there: for what the core or the main thread decide, which no driver sees. Files
 * prefer different ones.
 */
export function oneDriver(preferred: Driver): readonly Driver[] {
  return availableDrivers.includes(preferred) ? [preferred] : availableDrivers.slice(0, 1);
}

/** Defines the same tests for every available driver. */
export function describeDrivers(title: string, define: (driver: Driver) => void): void {
  for (const driver of availableDrivers) describe(`${title} (${driver})`, () => define(driver));
}

/** Defines tests for `oneDriver`. */
export function describeOneDriver(title: string, preferred: Driver, define: (driver: Driver) => void): void {
  for (const driver of oneDriver(preferred)) describe(`${title} (${driver})`, () => define(driver));
}

/** Looks once per run: the first process that gets here leaves the answer for the others. */
async function findDrivers(): Promise<readonly Driver[]> {
  const wanted = process.env.SLUICE_TEST_IO;
  if (wanted !== undefined && wanted !== '') return wanted.split(',') as Driver[];
  const found = join(scratchRoot(), 'drivers');
  try {
    mkdirSync(`${found}.lock`);
  } catch {
    await until('the look for drivers', () => existsSync(found), 60_000);
    return JSON.parse(readFileSync(found, 'utf8'));
  }
  const usable: Driver[] = [];
  for (const driver of DRIVERS) if (await starts(driver)) usable.push(driver);
  writeFileSync(`${found}.new`, JSON.stringify(usable));
  renameSync(`${found}.new`, found);
  return usable;
}

async function starts(driver: Driver): Promise<boolean> {
  const listen = `127.0.0.1:${await freePort()}`;
  const database = '*=postgres://127.0.0.1:1';
  const flags = ['--database', database, '--listen', listen, '--set', 'auth_type=trust', '--io', driver];
  let listening = false;
  await run(process.execPath, [GATEWAY_PROGRAM, 'serve', ...flags], {
    limitMs: 20_000,
    started: (child) => {
      const look = (chunk: Buffer) => {
        if (!chunk.toString().includes('listening on') || listening) return;
        listening = true;
        child.kill('SIGTERM');
      };
      child.stdout?.on('data', look);
      child.stderr?.on('data', look);
    },
  });
  return listening;
}
