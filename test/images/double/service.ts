/** A Service of the cluster under test: an address that leads to the pods that are ready. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Place } from '../../chaos/ground/ground.js';
import { until } from '../../harness/until.js';
import type { Backend, ServiceMessage, ServiceOrder, ServiceReport } from './service-main.js';

const PROGRAM = fileURLToPath(new URL('service-main.js', import.meta.url));
/** A pod needs seconds to start where many do. */
const READY_LIMIT_MS = 60_000;

export class Service {
  readonly #child: ChildProcess;
  #backends: readonly Backend[] = [];
  #ready = new Set<string>();

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', ({ ready }: ServiceReport) => {
      this.#ready = new Set(ready);
    });
  }

  static start(place: Place, order: Omit<ServiceOrder, 'address'>): Service {
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    const child = place.start({ program: process.execPath, args: [PROGRAM], stdio: [...stdio] });
    const service = new Service(child);
    service.#tell({ order: { ...order, address: place.address } });
    return service;
  }

  isReady(name: string): boolean {
    return this.#ready.has(name);
  }

  /** Its pods, the oldest first. */
  get names(): readonly string[] {
    return this.#backends.map(({ name }) => name);
  }

  add(backend: Backend): void {
    this.#backends = [...this.#backends, backend];
    this.#tell({ backends: this.#backends });
  }

  /** Nothing new goes there from now on, as when a pod is being deleted. */
  remove(name: string): void {
    this.#backends = this.#backends.filter((one) => one.name !== name);
    this.#tell({ backends: this.#backends });
  }

  /** Resolves when all of its pods are ready. */
  async ready(): Promise<void> {
    const lacking = () => this.#backends.filter(({ name }) => !this.#ready.has(name)).map(({ name }) => name);
    await until('all pods to be ready', () => lacking().length === 0, READY_LIMIT_MS).catch((error) => {
      throw new Error(`${error.message}; not ready: ${lacking().join(', ')}`);
    });
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }

  #tell(message: ServiceMessage): void {
    this.#child.send(message);
  }
}
