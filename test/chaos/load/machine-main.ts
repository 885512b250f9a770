/** The process of one machine of clients: told by messages of its parent what to do, it reports operations as they end. */
import type { LoadOrder } from './workload.js';
import { runLoad } from './workload.js';

const stop = new AbortController();
process.once('disconnect', () => process.exit(0));
process.on('message', (message: { start?: LoadOrder; stop?: true }) => {
  if (message.stop) stop.abort();
  else if (message.start) {
    void runLoad(message.start, stop.signal, (operation) => process.send!(operation)).then(() =>
      process.disconnect(),
    );
  }
});
