/**
 * What RESET goes back to. In pool_mode session a server connection is its client's own, and RESET, RESET ALL and DISCARD
 * ALL must give what the client asked for at its startup, as they do without a gateway. PostgreSQL keeps that from the
 * startup packet alone: so what differs from a plain connection's values is in the packet of the server connection, and
 * such connections have a pool of their own.
 */
import type { ParameterSet } from '../parameters.js';

/** Often another for each client: it follows the client by SET in every mode, or there would be as many pools. */
const FOLLOWS_ALWAYS = 'application_name';

/**
 * Those of a client's reported parameters that its server connection has to be opened with.
 * @param plain what a connection without them reports; null: not known yet
 */
export function resetValues(
  reported: ReadonlyMap<string, string>,
  plain: ParameterSet | null,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of reported) {
    if (name !== FOLLOWS_ALWAYS && plain?.values.get(name) !== value) values.set(name, value);
  }
  return values;
}
