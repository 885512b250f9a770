/** What operators and their machinery see of the process: HTTP, and how it comes to its end. */
import { listenPlace } from '../value-types.js';
import { file, OURS, seconds, setting } from './setting.js';

const HTTP = 'HTTP';
const ENDING = 'Ending';
const RELOAD = 'Reload';

export const httpSettings = {
  http_listen: setting(listenPlace(), '', {
    group: HTTP,
    type: 'HOST:PORT',
    description:
      'Where health checks, metrics and POST /reload are answered by HTTP, without encryption: `127.0.0.1:8432`, or an address that only probes can reach. Empty: nowhere.',
    pgbouncer: OURS,
    reload: false,
  }),
  http_token_file: file(HTTP, {
    description:
      'A file with the token (at least 16 characters) that POST /reload asks for. It is read at each request. Empty: POST /reload is refused.',
    pgbouncer: OURS,
  }),
};

export const reloadSettings = {
  reload_interval: seconds(RELOAD, 0, {
    description:
      'How often the files of the configuration are looked at: itself, `auth_file`, HBA rules, certificates. When their content has changed they are read again, as by SIGHUP. 0: never.',
    pgbouncer: OURS,
  }),
};

export const takeoverSettings = {
  takeover_socket: file(ENDING, {
    description:
      'The unix socket at which this process hands its listening sockets to the one that replaces it (`sluice serve --takeover`, `sluice pgbouncer -R`). Only its owner can connect. Empty: `.s.SLUICE.<listen_port>` in `unix_socket_dir`; without that, no takeover.',
    pgbouncer: OURS,
    reload: false,
  }),
};

export const endingSettings = {
  drain_delay: seconds(ENDING, 0, {
    description:
      'After SIGTERM, `sluice serve` says for this long that it is not ready and goes on serving, new clients too, so that a balancer notices before anybody is turned away.',
    pgbouncer: OURS,
  }),
  drain_timeout: seconds(ENDING, 20, {
    description:
      'After `drain_delay`, no client is accepted any more, each client is closed behind its transaction, or when it rests, and those that still run a transaction after this time are closed too. 0: at once.',
    pgbouncer: OURS,
  }),
};
