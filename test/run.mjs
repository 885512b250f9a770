/**
 * Runs the compiled tests: all of them, or those whose path contains one of the words given
 * (`npm test -- wire integration`), without those that contain a word with a `!` before it (`npm test -- '!soak'`). Each file is a process of its own. Ends with one line, `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT = dirname(dirname(fileURLToPath(import.meta.url)));
const COMPILED = join(PROJECT, process.env.SLUICE_TEST_DIST || 'dist');
const COUNTER = join(PROJECT, 'test', 'count-reporter.mjs');
/** How long all tests of one file may take. */
const FILE_LIMIT_MS = 5 * 60_000;
/** One more than the cores of a small machine: most files wait for timers and processes a good part of their time. */
const CONCURRENCY = 3;

function testFiles(words) {
  const files = [];
  for (const folder of ['src', 'simulator', 'test', 'bench']) {
    if (!existsSync(join(COMPILED, folder))) continue;
    for (const entry of readdirSync(join(COMPILED, folder), { recursive: true })) {
      if (entry.endsWith('.test.js')) files.push(join(folder, entry));
    }
  }
  const excluded = words.filter((word) => word.startsWith('!')).map((word) => word.slice(1));
  const wanted = words.filter((word) => !word.startsWith('!'));
  return files
    .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
    .filter((file) => !excluded.some((word) => file.includes(word)))
    .sort();
}

/** Runs one file; returns its counts. Its output is printed when it has ended, so that files don't mix. */
async function runFile(file, index) {
  const countsFile = join(root, `counts-${index}`);
  const reporters = [
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${COUNTER}`, `--test-reporter-destination=${countsFile}`],
  ];
  const child = spawn(process.execPath, [...reporters, join(COMPILED, file)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = [];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => output.push(chunk));
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, FILE_LIMIT_MS);
  const began = performance.now();
  const code = await new Promise((resolve) => {
    child.once('error', () => resolve(-1));
    child.once('close', resolve);
  });
  clearTimeout(limit);
  running.delete(child);
  const counts = readCounts(countsFile);
  const ranNothing = counts.passed + counts.failed + counts.skipped === 0;
  if (late || (counts.failed === 0 && (code !== 0 || ranNothing))) counts.failed++;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const verdict = late
    ? `stopped after ${FILE_LIMIT_MS} ms`
    : `${counts.passed} passed, ${counts.failed} failed`;
  const shown = counts.failed > 0 || late ? `${Buffer.concat(output)}` : '';
  process.stdout.write(`${shown}${file}: ${verdict} (${seconds} s)\n`);
  return counts;
}

function readCounts(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8').trimEnd().split('\n').at(-1));
  } catch {
    // The process did not live to its end, or never ran a test.
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

const files = testFiles(process.argv.slice(2));
if (files.length === 0) {
  console.error(
    `no compiled test matches in ${relative(process.cwd(), COMPILED) || '.'} (npm run build makes them)`,
  );
  process.exit(1);
}
const root = mkdtempSync(join(tmpdir(), 'sluice-test-'));
chmodSync(root, 0o711);
process.env.SLUICE_TEST_ROOT = root;
const running = new Set();

const { discardRun } = await import(join(COMPILED, 'test/harness/scratch.js'));
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  discardRun(root);
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

const total = { passed: 0, failed: 0, skipped: 0 };
let started = 0;
async function work() {
  while (started < files.length) {
    const index = started++;
    const counts = await runFile(files[index], index);
    for (const key of Object.keys(total)) total[key] += counts[key];
  }
}
await Promise.all(Array.from({ length: CONCURRENCY }, work));
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
