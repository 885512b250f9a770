/** What happens to a node, written down: its own file, the cluster's history in the store, and the operator's command. */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ClusterEvent } from '../cluster/history.js';
import type { Report } from '../cluster/inputs.js';
import { lsnText } from '../cluster/lsn-text.js';

/** The file is put aside (as `.1`) when it has grown to this. Bytes. */
const FILE_BYTES_MAX = 1024 * 1024;

/** Where events go. */
export interface EventPlaces {
  /** JSON lines; null: no file. */
  readonly file: string | null;
  /** The cluster's history: events that concern everybody. Must not throw. */
  readonly publish: (event: ClusterEvent) => void;
  /** The operator's command. Must not throw. */
  readonly command: (event: ClusterEvent) => void;
  /** A failure to write, for the log. */
  readonly onTrouble: (message: string) => void;
}

/** Takes events, and never makes the caller wait. */
export class EventJournal {
  readonly #places: EventPlaces;
  #writing: Promise<void> = Promise.resolve();

  constructor(places: EventPlaces) {
    this.#places = places;
  }

  note(event: ClusterEvent): void {
    const { file, publish, command, onTrouble } = this.#places;
    if (file !== null) {
      this.#writing = this.#writing.then(() =>
        append(file, event).catch((error: Error) =>
          onTrouble(`the event could not be written to ${file}: ${error.message}`),
        ),
      );
    }
    if (event.what !== 'state') publish(event);
    command(event);
  }

  /** Resolves when everything is written. */
  close(): Promise<void> {
    return this.#writing;
  }
}

async function append(file: string, event: ClusterEvent): Promise<void> {
  const { size } = await stat(file).catch(() => ({ size: 0 }));
  if (size >= FILE_BYTES_MAX) await rename(file, `${file}.1`);
  if (size === 0) await mkdir(dirname(file), { recursive: true });
  await appendFile(file, `${JSON.stringify(event)}\n`, { mode: 0o600 });
}

/** What the machine reports, as an event. `at` is the time of day. */
export function eventOf(report: Report, node: string, term: number, at: Date): ClusterEvent {
  const event = { at: at.toISOString(), node, term };
  switch (report.what) {
    case 'state':
      return {
        ...event,
        what: 'state',
        text: `${report.from}: ${report.event}; now ${report.to}`,
        details: { from: report.from, event: report.event, to: report.to },
      };
    case 'leads': {
      const { after, from, isForced } = report;
      const timeline = from.history.at(-1)?.timeline ?? 0;
      const predecessor = after === null ? 'as the first primary' : `after ${after}`;
      const forced = isForced ? '; an operator has taken upon himself what is lost by it' : '';
      return {
        ...event,
        what: 'leads',
        text: `${node} leads ${predecessor}, on timeline ${timeline} from ${lsnText(from.lsn)}${forced}`,
        details: { after, timeline, lsn: lsnText(from.lsn), forced: isForced },
      };
    }
    case 'left behind': {
      const { from, to, timeline } = report;
      return {
        ...event,
        what: 'left behind',
        text: `${node} had WAL that nobody follows: timeline ${timeline}, from ${lsnText(from)} to ${lsnText(to)}`,
        details: { timeline, from: lsnText(from), to: lsnText(to), bytes: to - from },
      };
    }
  }
}
