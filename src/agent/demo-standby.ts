/** Bringing up one standby of the demo cluster: from the data that it has, or from a new clone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from './agent-error.js';
import { cloneStandby } from './clone.js';
import type { ServerSettings } from './data-directory.js';
import type { DemoNode, NodeSurroundings } from './demo-node.js';
import { type DataState, inspectData, requireUsable } from './node-folder.js';
import { slotState, streamState, withConnection } from './replication.js';

const POLL_MS = 100;
/** A standby that isn't connected to its primary after this time is cloned anew. */
const FOLLOW_TIMEOUT_MS = 20_000;

export interface StandbyStart extends NodeSurroundings {
  readonly node: DemoNode;
  /** Runs already. */
  readonly primary: DemoNode;
  /** As they are to be at the next start. */
  readonly settings: () => ServerSettings;
}

/** Resolves when the standby streams from its primary and answers reads. */
export async function startStandby(start: StandbyStart): Promise<void> {
  const { node, primary, progress, signal } = start;
  const data = requireUsable(await inspectData(node.folder), node.folder, 'standby');
  let reason = await reasonToClone(start, data);
  if (reason === null) {
    try {
      await follow(start);
    } catch (error) {
      // Another copy of the data cures neither a full disk nor a busy port.
      if (signal.aborted || !(error instanceof AgentError) || error.kind !== 'other') throw error;
      reason = error.message;
    }
  }
  if (reason !== null) {
    if (reason !== '') progress.note(`${node.name} is cloned anew: ${reason}`);
    await clone(start);
    await follow(start);
  }
  progress.end(
    `${node.name}, a standby, streams from ${primary.name} and answers reads on port ${node.port}`,
  );
}

/** null: the data look as if the standby could go on from them. Empty: there is nothing to tell the operator. */
async function reasonToClone(
  { node, primary, binaries }: StandbyStart,
  data: DataState,
): Promise<string | null> {
  if (data.kind === 'unfinished') return 'cloning it was interrupted last time';
  if (data.kind !== 'whole') return '';
  if (data.major !== binaries.major) return `its data are of PostgreSQL ${data.major}`;
  const slot = await withConnection(primary.port, (client) => slotState(client, node.name));
  if (slot === 'usable') return null;
  return slot === 'lost'
    ? `it was away too long, and ${primary.name} has removed WAL that it needs`
    : `${primary.name} kept no WAL for it`;
}

async function clone({ node, primary, binaries, user, signal, progress }: StandbyStart): Promise<void> {
  await node.stop();
  progress.begin(`cloning ${node.name} from ${primary.name}`);
  await cloneStandby({
    standby: node.folder,
    primary: primary.folder,
    primaryPort: primary.port,
    slot: node.name,
    binaries,
    user,
    signal,
    onPercent: (percent) => progress.detail(`${percent} %`),
  });
}

/** Starts the standby and waits until it streams. Throws an AgentError that says why it doesn't. */
async function follow({ node, primary, settings, signal, progress }: StandbyStart): Promise<void> {
  progress.begin(`starting ${node.name}`);
  await node.start(settings());
  await withConnection(primary.port, async (client) => {
    const deadline = performance.now() + FOLLOW_TIMEOUT_MS;
    for (;;) {
      signal.throwIfAborted();
      const state = await streamState(client, node.name);
      if (state === 'streaming') return;
      if (node.running === null) throw new AgentError(`${node.name} ended`, [`Its log: ${node.folder.log}`]);
      await node.running.requireHope();
      // Catching up may take as long as it takes: it is getting on.
      if (state === null && performance.now() > deadline) {
        throw new AgentError(`${node.name} didn't connect to ${primary.name}`, [
          `Its log: ${node.folder.log}`,
        ]);
      }
      await sleep(POLL_MS);
    }
  });
}
