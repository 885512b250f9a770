/** Where clients are accepted, and how their sockets are set up. */
import { commaList, fileMode, text } from '../value-types.js';
import { count, freeText, onOff, setting } from './setting.js';

const LISTENING = 'Listening';
const SOCKETS = 'Sockets';
/** node:net has no way to do it. */
const NATIVE_ONLY = ' Without effect on the `node` driver.';

export const listeningSettings = {
  listen_addr: setting(commaList('addresses'), '127.0.0.1', {
    group: LISTENING,
    type: 'list of addresses',
    description:
      'Addresses on which clients are accepted by TCP, with commas between. `*` (quoted in YAML) means all IPv4 addresses of the machine, `::` all IPv6 addresses; empty means no TCP.',
    pgbouncer: 'it listens on no TCP address unless told to, and its `*` includes IPv6.',
    reload: false,
  }),
  listen_port: count(LISTENING, 6432, [1, 65535], {
    description: 'The TCP port, and the number in the name of the unix socket.',
    reload: false,
  }),
  listen_backlog: count(LISTENING, 4096, [1, 65535], {
    unit: 'clients',
    description:
      'How many clients may wait to be accepted. The kernel lowers it to its own limit (`net.core.somaxconn` on Linux).',
    pgbouncer: 'its default is 128.',
    reload: false,
  }),
  unix_socket_dir: setting(text('a folder'), '', {
    group: LISTENING,
    type: 'folder',
    description:
      'The folder in which a unix socket named `.s.PGSQL.<listen_port>` is made. Empty means no unix socket.',
    pgbouncer: 'it makes one in `/tmp` unless told not to.',
    reload: false,
  }),
  unix_socket_mode: setting(fileMode(), '0777', {
    group: LISTENING,
    type: 'permission bits, octal',
    description: 'Who may connect to the unix socket.',
    reload: false,
  }),
  unix_socket_group: freeText(LISTENING, {
    type: 'a group of the system, by name or number',
    description: 'The group that the unix socket file is given to.',
    reload: false,
  }),
  so_reuseport: onOff(LISTENING, false, {
    description:
      'Let several processes listen on the same TCP port (`SO_REUSEPORT`); the kernel spreads the clients. Cancel requests then need `peer_id` and `peers`. The `node` driver can do it since Node.js 22.12.',
    reload: false,
  }),
};

export const socketSettings = {
  tcp_keepalive: onOff(SOCKETS, true, {
    description: 'Switch TCP keep-alive on, so that a peer which vanished is noticed.',
  }),
  tcp_keepidle: count(SOCKETS, 0, [0, 32_767], {
    unit: 'seconds',
    description: "Rest before the first keep-alive probe. 0: the system's default.",
  }),
  tcp_keepintvl: count(SOCKETS, 0, [0, 32_767], {
    unit: 'seconds',
    description: `Time between keep-alive probes. 0: the system's default.${NATIVE_ONLY}`,
  }),
  tcp_keepcnt: count(SOCKETS, 0, [0, 127], {
    unit: 'probes',
    description: `Unanswered probes after which the connection is given up. 0: the system's default.${NATIVE_ONLY}`,
  }),
  tcp_user_timeout: count(SOCKETS, 0, [0, 2_147_483_647], {
    unit: 'milliseconds',
    description: `How long sent bytes may stay unacknowledged before the connection is given up. 0: the system's default.${NATIVE_ONLY}`,
  }),
  tcp_defer_accept: onOff(SOCKETS, true, {
    description: `Accept a new connection when its first bytes are there, or after about a second.${NATIVE_ONLY}`,
  }),
  tcp_socket_buffer: count(SOCKETS, 0, [0, 2_147_483_647], {
    unit: 'bytes',
    description: `The size of the buffers of a TCP socket in the kernel. 0: the system sizes them by what the connection needs.${NATIVE_ONLY}`,
  }),
  pkt_buf: count(SOCKETS, 4096, [1, 2_147_483_647], {
    unit: 'bytes',
    description: 'The size of the internal buffer of a connection.',
    instead: 'receive buffers are shared by all connections, and an idle connection holds none',
    reload: false,
  }),
  sbuf_loopcnt: count(SOCKETS, 5, [0, 2_147_483_647], {
    description: 'How many times in a row one connection is read before others have their turn.',
    instead: 'every connection is read once a turn, so one with a big result cannot hold up others',
  }),
};
