/** All that is played both to PostgreSQL and to the gateway. */
import type { Script } from './script.js';
import { COPY } from './scripts/copy.js';
import { EXTENDED } from './scripts/extended.js';
import { FUNCTION_CALLS } from './scripts/function-calls.js';
import { NAMED } from './scripts/named-statements.js';
import { PIPELINES } from './scripts/pipelines.js';
import { SIMPLE } from './scripts/simple.js';
import { TRANSACTIONS } from './scripts/transactions.js';

function group(title: string, scripts: readonly Script[]): Script[] {
  return scripts.map(({ name, steps }) => ({ name: `${title}: ${name}`, steps }));
}

export const SCRIPTS: readonly Script[] = [
  ...group('simple', SIMPLE),
  ...group('transaction', TRANSACTIONS),
  ...group('extended', EXTENDED),
  ...group('named', NAMED),
  ...group('pipeline', PIPELINES),
  ...group('copy', COPY),
  ...group('function call', FUNCTION_CALLS),
];
