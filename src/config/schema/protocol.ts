/** What clients may send, and how cancel requests find their process. */
import { commaList } from '../value-types.js';
import { count, onOff, setting } from './setting.js';

const PROTOCOL = 'Protocol';

export const protocolSettings = {
  max_packet_size: count(PROTOCOL, 2_147_483_647, [10_000, 2_147_483_647], {
    unit: 'bytes',
    description: 'The longest message that is passed on. A longer one closes its connection.',
  }),
  ignore_startup_parameters: setting(commaList('parameter names'), '', {
    group: PROTOCOL,
    type: 'list of parameter names',
    description:
      'Startup parameters of clients that are accepted and not passed on to the server, with commas between.',
  }),
  peer_id: count(PROTOCOL, 0, [0, 16_383], {
    description:
      'The number of this process among several that share clients (`so_reuseport`, a balancer). It goes into cancel keys, so that a cancel request which reaches another process is passed on. 0: none.',
  }),
  disable_pqexec: onOff(PROTOCOL, false, {
    description: 'Refuse the simple query protocol.',
    instead:
      'the simple query protocol stays on; statements that are sent together reach one server connection and no other client',
    reload: false,
  }),
};
