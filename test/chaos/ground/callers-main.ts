/** The thread of `Callers`. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Connection, Residents } from './residents.js';

const { run, starter } = workerData as { run: string; starter: number };
const residents = new Residents(run, starter);

parentPort!.on('message', (connections: Connection[]) => {
  parentPort!.postMessage(residents.callers(connections));
});
