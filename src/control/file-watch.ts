/**
 * Notices that files of the configuration have changed: a user list, certificates. What mounts files (Kubernetes' Secrets) swaps
 * whole folders by a link, which says nothing to who watches a file, so the content is looked at, every `reload_interval`.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SluiceConfig } from '../config/load.js';
import type { SettingName } from '../config/schema.js';
import type { Operator } from './operator.js';

/** Settings that name files which are read when the configuration is. */
const READ_FILES = [
  'auth_file',
  'auth_hba_file',
  'auth_ident_file',
  'auth_ldap_ca_file',
  'client_tls_ca_file',
  'client_tls_cert_file',
  'client_tls_key_file',
  'server_tls_ca_file',
  'server_tls_cert_file',
  'server_tls_key_file',
] as const satisfies readonly SettingName[];
/** How often is looked whether `reload_interval` has come to be more than 0. ms. */
const IDLE_MS = 5000;

/** Reloads when they have changed. */
export class FileWatch {
  readonly #operator: Operator;
  #timer: NodeJS.Timeout | undefined;
  /** What the files held when they were read last; null: not looked at. */
  #seen: string | null = null;
  #isOver = false;

  constructor(operator: Operator) {
    this.#operator = operator;
    void this.#look();
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const { gateway } = this.#operator;
    const { reload_interval } = gateway.config.values;
    if (reload_interval === 0) this.#seen = null;
    else await this.#compare();
    if (this.#isOver) return;
    this.#timer = setTimeout(() => void this.#look(), reload_interval === 0 ? IDLE_MS : reload_interval);
    this.#timer.unref();
  }

  async #compare(): Promise<void> {
    const { gateway, log } = this.#operator;
    const now = await digestOf(gateway.config);
    // Taken before the reload reads them: what changes meanwhile is found by the next look.
    const hasChanged = this.#seen !== null && this.#seen !== now;
    this.#seen = now;
    if (!hasChanged || this.#isOver) return;
    const { done } = await this.#operator.reload();
    if (done) log.logger.info('files of the configuration have changed: reloaded (reload_interval)');
    else
      log.logger.error(
        'files of the configuration have changed, and can not be used; everything stays as it was',
      );
  }
}

/** Changes with the content of any of them. A file that can't be read is one without content. */
async function digestOf({ sources, values }: SluiceConfig): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [sources.file ?? '', values.conffile, ...READ_FILES.map((name) => values[name])]) {
    const content = file === '' ? '' : await readFile(file).catch(() => '');
    hash.update(`${file} ${content.length} `).update(content);
  }
  return hash.digest('hex');
}
