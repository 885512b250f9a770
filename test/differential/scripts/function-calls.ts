/** The function call protocol. Table `notes` has the rows 1, 2 and 3 when a script begins. */
import { extended, functionCall, query } from '../../harness/frontend-message.js';
import { type Script, script } from '../script.js';

/** Object ids of functions (PostgreSQL's `pg_proc`). */
const INT4PL = 177;
const INT4DIV = 154;
const LOWER = 870;

export const FUNCTION_CALLS: readonly Script[] = [
  script('a function', functionCall(INT4PL, ['40', '2']), 'Z'),
  script('of text', functionCall(LOWER, ['ÄBC']), 'Z'),
  script('a null result', functionCall(LOWER, [null]), 'Z'),
  script('that fails', functionCall(INT4DIV, ['1', '0']), 'Z'),
  script('that is not there', functionCall(1, []), 'Z'),
  script(
    'in a transaction',
    query('BEGIN'),
    'Z',
    functionCall(INT4PL, ['1', '2']),
    'Z',
    query('COMMIT'),
    'Z',
  ),
  script(
    'between queries without waiting',
    query('SELECT 1'),
    functionCall(INT4PL, ['1', '2']),
    extended('SELECT 4'),
    'ZZZ',
  ),
];
