/** Which driver moves the bytes: the fastest that the system allows, or the one that was asked for. */
import { loadAddon } from './load-addon.js';
import type { NativeDriverName } from './native-addon.js';

export type DriverName = NativeDriverName | 'node';
export type DriverChoice = DriverName | 'auto';

/** `reason`: why a faster one was not taken; empty when there is none. */
export interface ChosenDriver {
  readonly name: DriverName;
  readonly reason: string;
}

/** @throws {Error} when the driver that was asked for can't work here, with the reason. */
export function chooseDriver(choice: DriverChoice): ChosenDriver {
  if (choice === 'node') return { name: 'node', reason: 'asked for' };
  const reasons: string[] = [];
  for (const name of ['uring', 'epoll'] as const) {
    if (choice !== 'auto' && choice !== name) continue;
    const reason = obstacle(name);
    if (reason === null)
      return { name, reason: choice === name && name === 'epoll' ? 'asked for' : reasons.join('; ') };
    if (choice === name) throw new Error(`the ${name} driver can't be used here: ${reason}`);
    reasons.push(`${name}: ${reason}`);
  }
  return { name: 'node', reason: `${reasons.join('; ')} (transactions cost about three times the CPU)` };
}

function obstacle(name: NativeDriverName): string | null {
  const loaded = loadAddon();
  return 'reason' in loaded ? loaded.reason : loaded.addon.probe(name);
}
