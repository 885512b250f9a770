/** SHOW ROUTE, which PgBouncer has not: where a statement would go, and why. */
import type { GatewaySettings } from '../../core/settings.js';
import { usesText } from '../../routing/statement-uses.js';
import type { RunningGateway } from '../gateway-process.js';
import { ConsoleError } from './console-error.js';
import type { Row } from './filter.js';
import { columns, row } from './table.js';

/** Functions with the number of their arguments. */
export const ROUTE_COLUMNS = columns('database node reason kind functions relations');

/**
 * The only row of the table.
 * @param wanted a database; null: the only one with standbys
 * @throws {ConsoleError} if that is none
 */
export async function routeRow(gateway: RunningGateway, wanted: string | null, sql: string): Promise<Row> {
  const database = routedDatabase(gateway.settings, wanted);
  const { verdict, decision } = await gateway.explainRoute(database, sql);
  const { functions, relations } = usesText(verdict.uses);
  const node = decision.mayRunOnStandby ? 'standby' : 'primary';
  return row(database, node, decision.reason, verdict.kind, functions, relations);
}

function routedDatabase({ databases }: GatewaySettings, wanted: string | null): string {
  if (wanted !== null) {
    const settings = databases.get(wanted) ?? databases.get('*');
    if (settings === undefined) throw new ConsoleError(`no such database: ${wanted}`);
    if (settings.nodes === null) throw new ConsoleError(`database ${wanted} has no nodes, and is not routed`);
    return wanted;
  }
  const routed = [...databases.values()].filter(({ name, nodes }) => nodes !== null && name !== '*');
  const [first, second] = routed;
  if (first !== undefined && second === undefined) return first.name;
  const problem = first === undefined ? 'no database has nodes' : 'several databases have nodes';
  throw new ConsoleError(`${problem}: name one, as in SHOW ROUTE <db> '<sql>'`);
}
