/** The process itself: its log, its files, its user, its engine. */
import { oneOf, text } from '../value-types.js';
import { count, file, freeText, OURS, onOff, setting } from './setting.js';

/** The ways of talking to the kernel. */
export const IO_DRIVERS = ['auto', 'uring', 'epoll', 'node'] as const;
/** What syslog knows (RFC 5424, table 1). */
export const SYSLOG_FACILITIES = [
  'auth',
  'authpriv',
  'daemon',
  'user',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;

const LOGGING = 'Logging';
const PROCESS = 'Process';
const DEFAULT_ON = 'its default is on.';

export const loggingSettings = {
  log_connections: onOff(LOGGING, false, {
    description: 'Log every client that says who it is, and every new server connection.',
    pgbouncer: DEFAULT_ON,
  }),
  log_disconnections: onOff(LOGGING, false, {
    description: 'Log every client and server connection that is closed, and why.',
    pgbouncer: DEFAULT_ON,
  }),
  log_pooler_errors: onOff(LOGGING, true, {
    description: 'Log the errors that are sent to clients by the pooler itself.',
  }),
  log_stats: onOff(LOGGING, false, {
    description: 'Log averages every `stats_period`.',
    pgbouncer: DEFAULT_ON,
  }),
  verbose: count(LOGGING, 0, [0, 9], {
    description: 'How much is logged beyond what matters: 1 logs details.',
  }),
  logfile: file(LOGGING, {
    description: 'Log to this file, too. It is opened again at a reload, so that it can be rotated.',
  }),
  syslog: onOff(LOGGING, false, {
    description: "Log to the system's log, too, by the program `logger`.",
  }),
  syslog_ident: setting(text(), 'pgbouncer', {
    group: LOGGING,
    type: 'text',
    description: "The name under which lines stand in the system's log.",
  }),
  syslog_facility: setting(oneOf(SYSLOG_FACILITIES), 'daemon', {
    group: LOGGING,
    type: `one of ${SYSLOG_FACILITIES.join(', ')}`,
    description: "The facility of lines in the system's log.",
  }),
};

export const processSettings = {
  pidfile: file(PROCESS, {
    description: 'A file to which the number of the process is written while it runs.',
    reload: false,
  }),
  user: freeText(PROCESS, {
    description: 'The user of the system that the process becomes after it was started as root.',
    reload: false,
  }),
  conffile: freeText(PROCESS, {
    type: 'text',
    description: 'The configuration file that a reload reads. Empty: the one that was named at start.',
  }),
  job_name: setting(text(), 'pgbouncer', {
    group: PROCESS,
    type: 'text',
    description: 'A name for a service of Windows.',
    instead: 'a service has the name that its service manager gives it',
    reload: false,
  }),
  service_name: freeText(PROCESS, {
    description: 'Another word for `job_name`.',
    instead: 'a service has the name that its service manager gives it',
    reload: false,
  }),
  io: setting(oneOf(IO_DRIVERS), 'auto', {
    group: PROCESS,
    type: `one of ${IO_DRIVERS.join(', ')}`,
    description:
      "How to talk to the kernel: io_uring (`uring`, Linux 6.1 and newer), `epoll` (Linux), or Node's own sockets (`node`, everywhere, at two to three times the CPU time). `auto` takes the first of these that works here; any other choice that doesn't work is an error.",
    pgbouncer: OURS,
    reload: false,
  }),
};
