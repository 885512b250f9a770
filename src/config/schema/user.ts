/** An entry of `users`. */
import * as z from 'zod';
import { name, oneOf, text } from '../value-types.js';
import { key, optionalCount, optionalSeconds, otherwise } from './entry.js';
import { ON_PIN, POOL_MODES, POOL_SIZE_MAX, SESSION_STATES } from './pooling.js';
import { CONSISTENCIES } from './routing.js';

const COUNT_MAX = 10_000_000;

export const userFields = z
  .strictObject(
    {
      password: key(
        text('a password').optional(),
        'text',
        'In clear text. Serves every `auth_type`, and logins to servers that ask for a password.',
      ),
      verifier: key(
        name('md5 and 32 hex digits, or SCRAM-SHA-256$...').optional(),
        'text',
        "The user's `rolpassword` in `pg_authid`: `SCRAM-SHA-256$...`, or `md5` and 32 hex digits. Serves clients; a SCRAM verifier alone can't log in to a server.",
      ),
      pool_mode: key(
        oneOf(POOL_MODES).optional(),
        `one of ${POOL_MODES.join(', ')}`,
        "Wins over that of the database. Without it: the database's.",
      ),
      session_state: key(
        oneOf(SESSION_STATES).optional(),
        `one of ${SESSION_STATES.join(', ')}`,
        otherwise('session_state'),
      ),
      on_pin: key(oneOf(ON_PIN).optional(), `one of ${ON_PIN.join(', ')}`, otherwise('on_pin')),
      consistency: key(
        oneOf(CONSISTENCIES).optional(),
        `one of ${CONSISTENCIES.join(', ')}`,
        "Wins over that of the database. Without it: the database's.",
      ),
      pool_size: optionalCount(
        POOL_SIZE_MAX,
        "Server connections of each pool of this user; 0: no limit. Without it: the database's.",
      ),
      reserve_pool_size: optionalCount(POOL_SIZE_MAX, "Without it: the database's."),
      max_user_connections: optionalCount(COUNT_MAX, otherwise('max_user_connections')),
      max_user_client_connections: optionalCount(COUNT_MAX, otherwise('max_user_client_connections')),
      query_timeout: optionalSeconds(otherwise('query_timeout')),
      query_wait_timeout: optionalSeconds(otherwise('query_wait_timeout')),
      transaction_timeout: optionalSeconds(otherwise('transaction_timeout')),
      idle_transaction_timeout: optionalSeconds(otherwise('idle_transaction_timeout')),
      client_idle_timeout: optionalSeconds(otherwise('client_idle_timeout')),
    },
    { error: 'a mapping with password or verifier' },
  )
  .meta({ description: 'What is known of a user, and what holds for this user alone.' });

export const users = z
  .record(z.string(), userFields, {
    error: 'a mapping of user names, like { alice: { password: "..." } }',
  })
  .prefault({})
  .meta({ description: 'The users that may log in.' });

/** One entry of `users`. */
export type UserValues = z.output<typeof userFields>;
