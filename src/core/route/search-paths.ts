/** Numbers for the search_paths of sessions, so that a number stands for one in a hash. */
import { SEARCH_PATHS_MAX } from '../limits.js';

/** A path with `"$user"` in it, or something like that, is another one for each user. */
const USER = '$user';

export class SearchPaths {
  /** How often all were forgotten, since there were {@link SEARCH_PATHS_MAX}. */
  overflows = 0;
  private readonly ofAll = new Map<string, number>();
  private readonly ofUsers = new Map<string, Map<string, number>>();
  private last = 0;
  private count = 0;

  /** The number of this path for this user; 0: it isn't known. Allocates nothing for one that has been seen. */
  numberOf(path: string | null, user: string): number {
    if (path === null) return 0;
    return this.ofAll.get(path) ?? this.ofUsers.get(path)?.get(user) ?? this.add(path, user);
  }

  private add(path: string, user: string): number {
    if (this.count === SEARCH_PATHS_MAX) {
      this.ofAll.clear();
      this.ofUsers.clear();
      this.count = 0;
      this.overflows += 1;
    }
    this.count += 1;
    const number = ++this.last;
    if (!path.includes(USER)) {
      this.ofAll.set(path, number);
      return number;
    }
    const ofPath = this.ofUsers.get(path) ?? new Map<string, number>();
    this.ofUsers.set(path, ofPath.set(user, number));
    return number;
  }
}
