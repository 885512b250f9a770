/** SHOW CLIENTS, SERVERS and SOCKETS: one row for each connection. */
import type { ConnectionSnapshot } from '../../core/snapshot.js';
import type { Row } from './filter.js';
import { columns, type Facts, row, type Table } from './table.js';

const COLUMNS = `
  type user database replication state addr port:i local_addr local_port:i connect_time request_time wait:i wait_us:i
  close_needed:i ptr link remote_pid:i tls application_name prepared_statements:i id:i`;

/** What PgBouncer tells of its buffers; ours belong to the driver, and are empty between two turns. */
const BUFFERS = 'recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i pkt_avail:i send_avail:i';

export const CLIENTS: Table = {
  columns: columns(`${COLUMNS} pin_reason pinned_since`),
  detail: 'connections',
  rows: (facts) =>
    clientsOf(facts).map((it, i) => [...it, ...pinOf(facts.snapshot.connections!.clients[i]!, facts)]),
};

export const SERVERS: Table = {
  columns: columns(COLUMNS),
  detail: 'connections',
  rows: (facts) => serversOf(facts),
};

export const SOCKETS: Table = {
  columns: columns(`${COLUMNS} ${BUFFERS}`),
  detail: 'connections',
  rows: (facts) => withBuffers([...clientsOf(facts), ...serversOf(facts)]),
};

export const ACTIVE_SOCKETS: Table = {
  ...SOCKETS,
  rows: (facts) => withBuffers([...clientsOf(facts), ...serversOf(facts)].filter((it) => it[4] === 'active')),
};

/** SHOW PINS, which PgBouncer has not: clients that keep their server connection behind their transactions, and why. */
export const PINS: Table = {
  columns: columns('id:i user database reason since seconds:q server_pid:i application_name'),
  detail: 'connections',
  rows: ({ snapshot, takenAt }) => {
    const { clients, servers } = snapshot.connections ?? { clients: [], servers: [] };
    const pids = new Map(servers.map(({ id, remotePid }) => [id, remotePid]));
    return clients
      .filter(({ pinned }) => pinned !== '')
      .map((it) => {
        const heldMs = snapshot.now - it.pinnedAt;
        const pid = pids.get(it.link ?? 0) ?? 0;
        return row(
          it.id,
          it.user,
          it.database,
          ...pinOf(it, { snapshot, takenAt }),
          Math.floor(heldMs / 1000),
          pid,
          it.applicationName,
        );
      });
  },
};

/** Why it is pinned and since when; empty where it isn't. */
function pinOf(it: ConnectionSnapshot, { snapshot, takenAt }: Pick<Facts, 'snapshot' | 'takenAt'>): Row {
  if (it.pinned === '') return row('', '');
  return row(it.pinned, clockTime(new Date(takenAt.getTime() - (snapshot.now - it.pinnedAt))));
}

const withBuffers = (rows: readonly Row[]): Row[] =>
  rows.map((it) => [...it, ...BUFFERS.split(' ').map(() => '0')]);

const clientsOf = (facts: Facts): Row[] =>
  (facts.snapshot.connections?.clients ?? []).map((client) => connectionRow('C', client, facts));

const serversOf = (facts: Facts): Row[] =>
  (facts.snapshot.connections?.servers ?? []).map((server) => connectionRow('S', server, facts));

function connectionRow(type: 'C' | 'S', it: ConnectionSnapshot, { snapshot, takenAt }: Facts): Row {
  const clock = (at: number): string => clockTime(new Date(takenAt.getTime() - (snapshot.now - at)));
  return row(
    type,
    it.user || '(nouser)',
    it.database || '(nodb)',
    it.replication,
    it.state,
    it.address,
    it.port,
    it.localAddress,
    it.localPort,
    clock(it.connectedAt),
    clock(it.requestedAt),
    Math.floor(it.waitMs / 1000),
    Math.round((it.waitMs % 1000) * 1000),
    it.closeNeeded,
    pointer(it.id),
    it.link === null ? '' : pointer(it.link),
    it.remotePid,
    it.tls,
    it.applicationName,
    it.preparedStatements,
    it.id,
  );
}

/** Connections are told apart by it, as by PgBouncer's addresses in memory. */
function pointer(id: number): string {
  return `0x${id.toString(16)}`;
}

/** As PgBouncer writes it: `2026-11-23 02:45:01 UTC`. */
function clockTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
