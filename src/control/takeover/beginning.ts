/** How a process begins to listen: by itself, with the sockets of the service manager, or in the place of another one. */
import type { SluiceConfig } from '../../config/load.js';
import type { SystemError } from '../../reactor/system-errors.js';
import { type RunningGateway, startGateway } from '../gateway-process.js';
import { StartError } from '../listen-error.js';
import type { Logger } from '../logging.js';
import { takeActivatedSockets } from './inherited-sockets.js';
import { findPredecessor, type Predecessor } from './predecessor.js';
import { takeoverPath } from './takeover-socket.js';

/** A gateway that accepts clients, and the process whose place it is to take; null: none. */
export interface Beginning {
  readonly gateway: RunningGateway;
  readonly predecessor: Predecessor | null;
}

export interface BeginningOptions {
  readonly takeover: boolean;
  /** Called before anything is listened on where no process is replaced; may throw a {@link StartError}. */
  readonly ifAlone?: () => void;
}

/**
 * Starts the gateway. With `takeover` both processes accept clients afterwards, until the other one is replaced.
 * @throws {StartError}
 */
export async function beginGateway(
  config: SluiceConfig,
  logger: Logger,
  { takeover, ifAlone }: BeginningOptions,
): Promise<Beginning> {
  const activated = activatedSockets();
  if (!takeover) {
    ifAlone?.();
    return { gateway: await startGateway(config, logger, activated), predecessor: null };
  }
  if (activated !== null) {
    throw new StartError('sockets of a service manager are not taken over: restart the service instead');
  }
  const predecessor = findRunning(config, logger);
  if (predecessor === null) ifAlone?.();
  try {
    const gateway = await startGateway(config, logger, predecessor?.inheritance ?? null);
    return { gateway, predecessor };
  } catch (error) {
    predecessor?.spare();
    throw error;
  }
}

function activatedSockets() {
  try {
    return takeActivatedSockets();
  } catch (error) {
    const { message } = error as SystemError;
    throw new StartError(`the sockets of the service manager cannot be used: ${message}`, { cause: error });
  }
}

function findRunning({ values }: SluiceConfig, logger: Logger): Predecessor | null {
  const path = takeoverPath(values);
  if (path === null) {
    throw new StartError(
      'cannot take over: name the place where both processes meet, by takeover_socket or unix_socket_dir',
    );
  }
  const predecessor = findPredecessor(path);
  if (predecessor === null) logger.info(`nobody to take over from at ${path}: starting as usual`);
  return predecessor;
}
