/** Names of the system's users, as its name service knows them: the list of local users is only a part of them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SYSTEM_USER_MS, SYSTEM_USERS_MAX } from './limits.js';

const run = promisify(execFile);

export class SystemUsers {
  readonly #known = new Map<number, { readonly name: Promise<string | null>; readonly until: number }>();

  /** Null: no such user. Never rejects. */
  nameOf(uid: number): Promise<string | null> {
    const now = performance.now();
    const known = this.#known.get(uid);
    if (known !== undefined && now < known.until) return known.name;
    const name = askSystem(uid);
    if (this.#known.size >= SYSTEM_USERS_MAX) this.#known.clear();
    this.#known.set(uid, { name, until: now + SYSTEM_USER_MS });
    return name;
  }
}

async function askSystem(uid: number): Promise<string | null> {
  try {
    const { stdout } = await run('getent', ['passwd', String(uid)], { encoding: 'utf8' });
    const [name, , found] = stdout.split(':');
    return name !== undefined && Number(found) === uid ? name : null;
  } catch {
    return null;
  }
}
