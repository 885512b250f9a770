/** What a deliberate defect is. */
import type { Io, IoEvents } from '../src/core/io.js';
import type { GatewaySettings } from '../src/core/settings.js';
import type { Random } from './random.js';

/** A defect, and where it sits. */
export interface Fault {
  /** Changes the core itself; the function that it returns undoes that. */
  install?(): () => void;
  /** Stands between the core and its driver. */
  io?(io: Io, random: Random): Io;
  /** Stands between the driver and the core. */
  events?(events: IoEvents, random: Random): IoEvents;
  settings?(settings: GatewaySettings): GatewaySettings;
}
