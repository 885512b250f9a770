/** As whom the gateway logs in to the nodes of a database: one of the users whose pools there are. */
import { NODE_LOGINS_MAX } from '../limits.js';
import type { PoolLimits } from '../pool/pool-limits.js';
import type { UserSettings } from '../settings.js';

interface Login {
  readonly user: UserSettings;
  readonly limits: PoolLimits;
  isRefused: boolean;
}

export class Logins {
  /** How many users had to leave for others: {@link NODE_LOGINS_MAX} are kept. */
  forgotten = 0;
  private logins: Login[];

  constructor(user: UserSettings, limits: PoolLimits) {
    this.logins = [{ user, limits, isRefused: false }];
  }

  /** Who is to be tried next. */
  get current(): UserSettings {
    return this.best.user;
  }

  /** Of the pool of {@link current}. */
  get limits(): PoolLimits {
    return this.best.limits;
  }

  private get best(): Login {
    return this.logins.find(({ isRefused }) => !isRefused) ?? this.logins[0]!;
  }

  /** A pool of this user exists, or knows more of the user than before. True: that is somebody to be tried at once. */
  join(user: UserSettings, limits: PoolLimits): boolean {
    const known = this.logins.find((login) => login.user.name === user.name);
    if (known?.user === user && known.limits === limits) return false;
    const hadNone = this.best.isRefused;
    const others = this.logins.filter((login) => login !== known);
    // Who is known to be let in stays in front; room is made by those who were refused.
    const isFull = others.length >= NODE_LOGINS_MAX;
    if (isFull) this.forgotten += 1;
    const leaves = isFull ? (others.find(({ isRefused }) => isRefused) ?? others.at(-1)) : undefined;
    this.logins = [...others.filter((login) => login !== leaves), { user, limits, isRefused: false }];
    return hadNone;
  }

  accepted(user: UserSettings): void {
    const login = this.logins.find((it) => it.user === user);
    if (login === undefined) return;
    login.isRefused = false;
    this.logins = [login, ...this.logins.filter((it) => it !== login)];
  }

  /** True: there is somebody else to be tried. */
  refused(user: UserSettings): boolean {
    const login = this.logins.find((it) => it.user === user);
    if (login !== undefined) login.isRefused = true;
    return this.logins.some(({ isRefused }) => !isRefused);
  }

  /** Brings them in line with new settings. */
  update(renew: (user: UserSettings) => { readonly user: UserSettings; readonly limits: PoolLimits }): void {
    this.logins = this.logins.map(({ user }) => ({ ...renew(user), isRefused: false }));
  }
}
