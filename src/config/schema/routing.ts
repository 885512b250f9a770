/** Where statements go when a database has several nodes. */
import * as z from 'zod';
import { name, oneOf, parsePlace, text, wholeNumber } from '../value-types.js';
import { key } from './entry.js';
import { count, NO_LIMIT, OURS, onOff, seconds, setting } from './setting.js';

/** How much of what is committed a read on a standby must see. */
export const CONSISTENCIES = ['strong', 'session', 'bounded', 'eventual', 'primary'] as const;

/** Which of a database's nodes its clients reach, in the words of libpq's parameter of that name. */
export const TARGETS = ['primary', 'standby', 'prefer-standby'] as const;

const ROUTING = 'Routing';
const PORT = 5432;
const WEIGHT_MAX = 1000;
const PIPELINE_LENGTH_MAX = 64;
const LAG_BYTES_MAX = 2 ** 40;

export const routingSettings = {
  consistency: setting(oneOf(CONSISTENCIES), 'strong', {
    group: ROUTING,
    type: `one of ${CONSISTENCIES.join(', ')}`,
    description:
      'What a read on a standby must see, for databases with `nodes`. `strong`: every commit that was acknowledged before the read began, whoever made it. `session`: what its own session has written or seen. `bounded`: what was committed more than `bounded_staleness` ago. `eventual`: whatever a standby within the lag limits has. `primary`: reads go to the primary. A session changes its own by `SET sluice.consistency`, a statement by a comment in front of it (`/* sluice: eventual */`). See [routing.md](routing.md).',
    pgbouncer: OURS,
  }),
  standby_wait: seconds(ROUTING, 0.01, {
    description:
      'How long a read waits for a standby to replay what it must see (`consistency` `strong`) before it goes to the primary.',
    pgbouncer: OURS,
  }),
  read_pipeline_length: count(ROUTING, 8, [1, PIPELINE_LENGTH_MAX], {
    description:
      'How many quick reads that can be sent to a standby at the same moment, and need the same session, may share a server connection, one behind the other: that costs the gateway and the standby less than a connection for each. `1`: none do. See [routing.md](routing.md#reads-that-travel-together).',
    pgbouncer: OURS,
  }),
  balance_leading_reads: onOff(ROUTING, false, {
    description:
      'Whether a transaction that may write (`BEGIN`, READ COMMITTED) begins on a standby, and moves to the primary with its first statement that is no plain read. Then `now()` and its locks are those of its part on the primary. A session changes its own by `SET sluice.balance_leading_reads`. See [routing.md](routing.md#what-goes-where).',
    pgbouncer: OURS,
  }),
  defer_begin: onOff(ROUTING, true, {
    description:
      'Whether a `BEGIN` that is sent by itself, as a simple query, is answered by the gateway, of a database with `nodes`: the primary gets it with the first statement behind it, and until then its client holds no server connection. `now()` is the time of that statement then. See [routing.md](routing.md#what-goes-where).',
    pgbouncer: OURS,
  }),
  bounded_staleness: seconds(ROUTING, 1, {
    description: 'How old the state may be that a read with `consistency` `bounded` sees.',
    pgbouncer: OURS,
  }),
  standby_lag_bytes: count(ROUTING, 16_777_216, [0, LAG_BYTES_MAX], {
    unit: 'bytes',
    description: `A standby gets no reads while this much of the primary's WAL is still to be replayed there. ${NO_LIMIT}`,
    pgbouncer: OURS,
  }),
  standby_lag: seconds(ROUTING, 10, {
    description: `A standby gets no reads while it has been behind the primary for this long. ${NO_LIMIT}`,
    pgbouncer: OURS,
  }),
  standby_slow_start: seconds(ROUTING, 5, {
    description: 'A standby that has come back gets its full share of the reads only after this time.',
    pgbouncer: OURS,
  }),
  zone: setting(text(), '', {
    group: ROUTING,
    type: 'text',
    description:
      'Where this gateway is: reads go to standbys with the same `zone` first, to others only if none of these can serve. Empty: all are equal.',
    pgbouncer: OURS,
  }),
};

const nodeFields = z.strictObject(
  {
    host: key(name('a host name, an address, or the folder of a unix socket'), 'text', 'As `host` above.'),
    port: key(wholeNumber(1, 65535).prefault(PORT), 'whole number', 'Its port.'),
    name: key(name('a name').optional(), 'text', 'What it is called. Without it: host and port.'),
    weight: key(wholeNumber(0, WEIGHT_MAX).prefault(1), 'whole number', 'Its share of the reads. 0: none.'),
    zone: key(text('a zone').prefault(''), 'text', 'Where it is. See `zone`.'),
  },
  { error: 'a mapping like { host: 10.0.0.1, port: 5432 }' },
);

/** One of a database's servers. */
export type NodeValues = z.output<typeof nodeFields>;

const HOST_AND_PORT = 'HOST or HOST:PORT, like 10.0.0.1:5432 or [::1]:5432';

const nodeText = z.string({ error: HOST_AND_PORT }).transform((value, context): NodeValues => {
  const whole = value.trim();
  const place = parsePlace(whole) ?? parsePlace(`${whole}:${PORT}`);
  if (place !== null) return { host: place.host, port: place.port, weight: 1, zone: '' };
  context.issues.push({ code: 'custom', message: HOST_AND_PORT, input: value });
  return z.NEVER;
});

const NODES = 'a list of nodes, like [10.0.0.1:5432, { host: 10.0.0.2, weight: 2 }]';

/** A list of mappings or texts, or one text with commas between. */
export const nodes = z
  .union(
    [
      z.array(z.union([nodeFields, nodeText], { error: HOST_AND_PORT })).min(1),
      z
        .string()
        .transform((value) => value.split(','))
        .pipe(z.array(nodeText)),
    ],
    { error: NODES },
  )
  .optional();
