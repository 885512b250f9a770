/**
 * Loaded into an agent before anything else (`node --import`): ends it by SIGKILL when it has entered the state that
 * SLUICE_CHAOS_CRASH_IN names, and has begun to do what that state wants. The agent writes each change of state down right
 * then, and knows nothing of this.
 */
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const { appendFile } = promises;
promises.appendFile = (file, data, options) => {
  const isState = String(file).endsWith('events.jsonl');
  const entered = isState
    ? (JSON.parse(String(data)) as { details?: { to?: string } }).details?.to
    : undefined;
  if (entered !== undefined && entered === process.env.SLUICE_CHAOS_CRASH_IN)
    process.kill(process.pid, 'SIGKILL');
  return appendFile(file, data, options);
};
syncBuiltinESMExports();
