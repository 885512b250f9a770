/** What the main thread and a reactor's worker say to each other. Values only: they cross by structured clone. */
import type { SocketSettings } from '../config/socket-settings.js';
import type { TlsConfiguration } from '../config/tls.js';
import type { AuthorityAnswer, AuthorityQuestion } from '../core/authority.js';
import type { CommandOutcome, GatewayCommand } from '../core/command.js';
import type { ConsoleAnswer, ConsoleQuestion } from '../core/console.js';
import type { KeyRequest, Report } from '../core/io.js';
import type { ClusterNews } from '../core/route/epoch.js';
import type { FoundNodes } from '../core/route/found-nodes.js';
import type { GatewaySettings } from '../core/settings.js';
import type { Snapshot, SnapshotDetail } from '../core/snapshot.js';
import type { DriverName, Listener, OpenListener } from './driver.js';
import type { ResolvedHost } from './slow-work.js';

/** What a worker is started with. */
export interface WorkerStart {
  readonly driver: DriverName;
  /** Written to by the main thread after each message, for a reactor that blocks in native code; -1 for `node`. */
  readonly wakeDescriptor: number;
  readonly listeners: readonly Listener[];
  readonly settings: GatewaySettings;
  readonly tls: TlsConfiguration;
  readonly sockets: SocketSettings;
}

export type ToWorker =
  | {
      readonly kind: 'settings';
      readonly settings: GatewaySettings;
      readonly tls: TlsConfiguration;
      readonly sockets: SocketSettings;
    }
  | { readonly kind: 'snapshot'; readonly id: number; readonly detail: SnapshotDetail }
  /** Other processes go on with the listening sockets. */
  | { readonly kind: 'handOver'; readonly id: number }
  | { readonly kind: 'command'; readonly id: number; readonly command: GatewayCommand }
  /** What a cluster's store says. `heardAt`: when it did, by the clock that all threads share, in ms. */
  | { readonly kind: 'cluster'; readonly id: number; readonly news: ClusterNews; readonly heardAt: number }
  | { readonly kind: 'found'; readonly found: FoundNodes }
  | { readonly kind: 'console'; readonly id: number; readonly answer: ConsoleAnswer }
  | { readonly kind: 'authority'; readonly id: number; readonly answer: AuthorityAnswer }
  | { readonly kind: 'key'; readonly id: number; readonly key: Uint8Array | null }
  | { readonly kind: 'host'; readonly id: number; readonly answer: ResolvedHost }
  | { readonly kind: 'shutdown' };

export type FromWorker =
  /** In the order of {@link WorkerStart.listeners}; null where the machine lacks one of a name's addresses. */
  | { readonly kind: 'listening'; readonly open: readonly (OpenListener | null)[] }
  /** Position in {@link WorkerStart.listeners}. The worker ends. */
  | {
      readonly kind: 'listenFailed';
      readonly position: number;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'reports'; readonly reports: readonly Report[] }
  | { readonly kind: 'deriveKey'; readonly request: KeyRequest }
  | { readonly kind: 'askAuthority'; readonly id: number; readonly question: AuthorityQuestion }
  | { readonly kind: 'askConsole'; readonly question: ConsoleQuestion }
  | { readonly kind: 'resolveHost'; readonly id: number; readonly host: string }
  /** Answers to `snapshot`, `handOver`, `cluster` and `command`, with the same `id`. */
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Snapshot | CommandOutcome };
