/** Reloads as fast as they are taken, of a file that is now right and now wrong. */
import { renameSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Siege } from './siege.js';

const BETWEEN_MS = 10;
/** Every so many reloads the file has a mistake, and must change nothing. */
const MISTAKE_EVERY = 7;

/** @param write makes a configuration's text: of another pool size each time, or with a mistake. */
export function signalStorm(file: string, write: (poolSize: number) => string): Siege {
  return {
    name: 'SIGHUP storm',
    async lay({ gateway, random, count }, stop) {
      for (let turn = 1; !stop.now; turn++) {
        const hasMistake = turn % MISTAKE_EVERY === 0;
        replaceFile(file, hasMistake ? 'databases: [oops' : write(20 + random.below(4)));
        gateway.signal('SIGHUP');
        count('reloads');
        await pause(BETWEEN_MS);
      }
      replaceFile(file, write(20));
      gateway.signal('SIGHUP');
    },
  };
}

/** Never half written. */
function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
