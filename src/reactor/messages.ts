/** What the main thread and a reactor's worker say to each other. Values only: they are copied on the way. */
import type { KeyRequest, Report } from '../core/io.js';
import type { GatewaySettings } from '../core/settings.js';
import type { Snapshot } from '../core/snapshot.js';
import type { DriverName } from './choose-driver.js';
import type { ListenAddress } from './listen.js';
import type { ResolvedHost } from './slow-work.js';

/** What a worker is started with. */
export interface WorkerStart {
  readonly driver: DriverName;
  readonly listen: readonly ListenAddress[];
  readonly settings: GatewaySettings;
  /** An eventfd that ends the worker's waiting; -1 for the node driver, whose event loop hears messages itself. */
  readonly wakeDescriptor: number;
}

export type ToWorker =
  | { readonly kind: 'settings'; readonly settings: GatewaySettings }
  | { readonly kind: 'snapshot'; readonly id: number }
  | { readonly kind: 'keyDerived'; readonly id: number; readonly key: Uint8Array | null }
  | { readonly kind: 'hostResolved'; readonly id: number; readonly answer: ResolvedHost }
  | { readonly kind: 'shutdown' };

/** Why an address can't be listened on, with the fields of Node's own errors. */
export interface ListenFailure {
  readonly code: string;
  readonly message: string;
  readonly address: ListenAddress;
}

export type FromWorker =
  | { readonly kind: 'listening'; readonly addresses: readonly ListenAddress[] }
  | { readonly kind: 'failed'; readonly failure: ListenFailure }
  | { readonly kind: 'snapshot'; readonly id: number; readonly snapshot: Snapshot }
  | { readonly kind: 'deriveKey'; readonly request: KeyRequest }
  | { readonly kind: 'resolveHost'; readonly id: number; readonly host: string }
  | { readonly kind: 'reports'; readonly reports: readonly Report[] };
