/** An entry of `peers`. */
import * as z from 'zod';
import { name, wholeNumber } from '../value-types.js';
import { key, optionalCount } from './entry.js';
import { POOL_SIZE_MAX } from './pooling.js';

export const peerFields = z
  .strictObject(
    {
      host: key(
        name('a host name, an address, or the folder of a unix socket'),
        'text',
        'Where that process listens: a name, an address, or the folder of its unix socket.',
      ),
      port: key(wholeNumber(1, 65535).prefault(6432), 'whole number', 'Its port, also for a unix socket.'),
      pool_size: optionalCount(
        POOL_SIZE_MAX,
        'How many cancel requests are passed on to it at a time. Without it: `default_pool_size`.',
      ),
    },
    { error: 'a mapping like { host: /run/sluice-2, port: 6432 }' },
  )
  .meta({ description: 'Another process.' });

export const peers = z
  .record(
    z.string().regex(/^[1-9]\d{0,4}$/, { error: 'a peer_id, a whole number from 1 to 16383' }),
    peerFields,
    {
      error: 'a mapping of numbers to processes, like { 2: { host: /run/sluice-2 } }',
    },
  )
  .prefault({})
  .meta({ description: 'Other processes that share the clients, by their `peer_id`.' });

/** One entry of `peers`. */
export type PeerValues = z.output<typeof peerFields>;
