/**
 * Loaded into each thread of a gateway under siege (`node --import`): collects its garbage every second. Without it what the
 * process holds is a question of when V8 cares to look, and that varies by more than a leak would add.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const PERIOD_MS = 1000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
setInterval(collect, PERIOD_MS).unref();
