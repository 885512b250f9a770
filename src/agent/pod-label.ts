/**
 * The label by which Services find the pod of a role. It is advice: it comes late, and stays on the pod of an agent that is gone.
 * Who the primary is, the epoch says. So nobody waits for it, and nothing is decided by it.
 */
import type { StateName } from '../cluster/states.js';
import { ROLE_LABEL } from '../stores/kubernetes/cluster-leases.js';
import { KubernetesClient } from '../stores/kubernetes/kubernetes-client.js';
import type { KubernetesSettings } from '../stores/kubernetes/kubernetes-settings.js';
import type { StoreError } from '../stores/store.js';

/** How long a request may take. ms. */
const REQUEST_MS = 2000;
/** After a request that has failed. ms. */
const RETRY_MS = 500;
/** Others may change labels, too: so often it is written again. ms; a change that changes nothing is none. */
const REPEAT_MS = 30_000;

/** What the label says; null: it is not there. */
export type PodRole = 'primary' | 'replica' | null;

/** Primary is who lets everybody write. One that is about to hand over is none any more. */
export function podRole(state: StateName): PodRole {
  if (state === 'leading') return 'primary';
  return state === 'following' ? 'replica' : null;
}

/** Whom it speaks to. */
export interface PodLabelWorld {
  /** Writes the label. Rejects with a StoreError. */
  write(role: PodRole): Promise<void>;
  /** It could not be written; null: it could again. */
  trouble(error: StoreError | null): void;
}

/** Keeps the label of one pod at what was told last. One request at a time; what was overtaken is never sent. */
export class PodLabel {
  readonly #world: PodLabelWorld;
  #wanted: PodRole = null;
  /** Undefined: not known. A container that begins anew finds the label of its last life. */
  #written: PodRole | undefined;
  #isWriting = false;
  #isTroubled = false;
  #timer: NodeJS.Timeout | undefined;
  /** Told when the label is gone for good. */
  #onGone: (() => void) | null = null;
  #isOver = false;

  constructor(world: PodLabelWorld) {
    this.#world = world;
    void this.#write();
  }

  tell(role: PodRole): void {
    if (role === this.#wanted || this.#onGone !== null) return;
    this.#wanted = role;
    void this.#write();
  }

  /** Takes the label away. Resolves when that is done, or after `limitMs`. */
  close(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(limit);
        clearTimeout(this.#timer);
        this.#isOver = true;
        resolve();
      };
      const limit = setTimeout(end, limitMs);
      this.#wanted = null;
      this.#onGone = end;
      if (this.#written === null && !this.#isWriting) end();
      else void this.#write();
    });
  }

  async #write(): Promise<void> {
    if (this.#isWriting || this.#isOver) return;
    this.#isWriting = true;
    clearTimeout(this.#timer);
    const role = this.#wanted;
    try {
      await this.#world.write(role);
      this.#written = role;
      this.#note(null);
    } catch (error) {
      this.#written = undefined;
      this.#note(error as StoreError);
    }
    this.#isWriting = false;
    if (this.#wanted !== role) return this.#write();
    if (this.#written === null) this.#onGone?.();
    if (this.#isOver) return;
    const waitMs = this.#written === undefined ? RETRY_MS : REPEAT_MS;
    this.#timer = setTimeout(() => void this.#write(), waitMs).unref();
  }

  #note(error: StoreError | null): void {
    if (this.#isOver || (error !== null) === this.#isTroubled) return;
    this.#isTroubled = error !== null;
    this.#world.trouble(error);
  }
}

/** Begins to label the pod in which this agent runs. Throws a StoreError if this is no pod. */
export function labelOwnPod(
  place: KubernetesSettings,
  pod: string,
  clock: () => number,
  warn: (message: string) => void,
): PodLabel {
  const client = new KubernetesClient(place, REQUEST_MS, clock);
  return new PodLabel({
    write: labelWriter(client, place.namespace, pod),
    trouble: (error) =>
      warn(
        error === null
          ? `pod ${pod} has its label ${ROLE_LABEL} again`
          : `pod ${pod} does not get its label ${ROLE_LABEL}, Services of a role may miss it: ${error.message}`,
      ),
  });
}

/** How a pod's own label is written: one merge, of this field alone. */
function labelWriter(client: KubernetesClient, namespace: string, pod: string): PodLabelWorld['write'] {
  const path = `/api/v1/namespaces/${namespace}/pods/${encodeURIComponent(pod)}`;
  const headers = { 'content-type': 'application/merge-patch+json' };
  return async (role) => {
    const body = { metadata: { labels: { [ROLE_LABEL]: role } } };
    await client.ask({ method: 'PATCH', path, headers, body });
  };
}
