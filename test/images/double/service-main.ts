/**
 * The process of a Service's double at a place of its own: new connections go to those of its pods in turn that have last said that
 * they are ready, as kube-proxy does it; existing ones stay where they are.
 */
import { get } from 'node:http';
import { connect, createServer } from 'node:net';
import { splice } from './splice.js';

/** A pod behind it. */
export interface Backend {
  readonly name: string;
  readonly address: string;
}

export interface ServiceOrder {
  readonly address: string;
  readonly port: number;
  readonly targetPort: number;
  readonly healthPort: number;
  readonly periodMs: number;
}

/** To it: where it stands, or who its pods are now. */
export type ServiceMessage = { readonly order: ServiceOrder } | { readonly backends: readonly Backend[] };
/** From it: who is ready. */
export interface ServiceReport {
  readonly ready: readonly string[];
}

const PROBE_LIMIT_MS = 1_000;
let backends: readonly Backend[] = [];
const ready = new Set<string>();
let turn = 0;

function probe({ address }: Backend, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: address, port, path: '/readiness', timeout: PROBE_LIMIT_MS }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on('timeout', () => request.destroy(new Error('late')));
    request.on('error', () => resolve(false));
  });
}

async function probeAll(healthPort: number): Promise<void> {
  const before = [...ready].join();
  await Promise.all(
    backends.map(async (backend) => {
      const isReady = await probe(backend, healthPort);
      if (isReady && backends.includes(backend)) ready.add(backend.name);
      else ready.delete(backend.name);
    }),
  );
  if ([...ready].join() !== before) report();
}

function report(): void {
  process.send!({ ready: [...ready] } satisfies ServiceReport);
}

function serve({ address, port, targetPort, healthPort, periodMs }: ServiceOrder): void {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const able = backends.filter(({ name }) => ready.has(name));
    const backend = able[turn++ % able.length];
    if (backend === undefined) client.resetAndDestroy();
    else splice(client, connect({ host: backend.address, port: targetPort, allowHalfOpen: true }));
  });
  server.listen(port, address);
  setInterval(() => void probeAll(healthPort), periodMs);
}

process.once('disconnect', () => process.exit(0));
process.on('message', (message: ServiceMessage) => {
  if ('order' in message) serve(message.order);
  else {
    backends = message.backends;
    for (const name of ready) if (!backends.some((one) => one.name === name)) ready.delete(name);
    report();
  }
});
