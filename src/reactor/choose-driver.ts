import type { TlsSettings } from '../core/settings.js';
import type { DriverName } from './driver.js';
import { type LoadedAddon, loadAddon } from './load-addon.js';
import type { NativeAddon, NativeDriverName } from './native-addon.js';
/** What the setting `io` may be. */
export type DriverSetting = DriverName | 'auto';

/** The driver that is used, and why no faster one. */
export interface DriverChoice {
  readonly driver: DriverName;
  /** Why a better one isn't used; empty when there is no better one, or when it was asked for. */
  readonly reason: string;
}

/**
 * The driver for a setting: `auto` takes the best that this machine allows.
 * @param needsTls the settings ask for TLS, which the native drivers have only where OpenSSL's headers were there when
 * the addon was built
 * @throws when the one that was asked for is impossible here; the message says why
 */
export function chooseDriver(
  setting: DriverSetting,
  loaded: LoadedAddon = loadAddon(),
  needsTls = false,
): DriverChoice {
  if (setting === 'node') return { driver: 'node', reason: '' };
  const reasons: string[] = [];
  for (const driver of setting === 'auto' ? (['uring', 'epoll'] as const) : [setting]) {
    const reason = 'reason' in loaded ? loaded.reason : whyNot(loaded.addon, driver, needsTls);
    if (reason === null) return { driver, reason: reasons.join('; ') };
    reasons.push('reason' in loaded ? reason : `${driver}: ${reason}`);
    if ('reason' in loaded) break;
  }
  if (setting !== 'auto')
    throw new Error(`the I/O driver "${setting}" can't be used here: ${reasons.join('; ')}`);
  return { driver: 'node', reason: reasons.join('; ') };
}

function whyNot(addon: NativeAddon, driver: NativeDriverName, needsTls: boolean): string | null {
  if (needsTls && !addon.hasTls) return 'the native addon was built without TLS';
  return addon.probe(driver);
}

/** Without TLS, somebody could not be served as the settings say. */
export function needsTls({ clientMode, serverMode }: TlsSettings): boolean {
  return clientMode !== 'disable' || !['disable', 'allow', 'prefer'].includes(serverMode);
}
