import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { NativeAddon } from './native-addon.js';

/** Where `native/build.mjs` leaves the addon, relative to the package's root. */
const ADDON_PATH = join('native', 'build', 'sluice_io.node');

/** The addon, or why it can't be used here (a clause for a log line). */
export type LoadedAddon = { readonly addon: NativeAddon } | { readonly reason: string };

/** Loads the addon; it may be loaded by several threads. */
export function loadAddon(): LoadedAddon {
  const file = join(packageRoot(), ADDON_PATH);
  if (!existsSync(file))
    return { reason: 'the native addon was not built (node native/build.mjs builds it)' };
  try {
    return { addon: createRequire(import.meta.url)(file) as NativeAddon };
  } catch (error) {
    return { reason: `the native addon can't be loaded: ${(error as Error).message}` };
  }
}

function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('no package.json above the program');
    folder = parent;
  }
  return folder;
}
