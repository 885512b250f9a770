/** How long work on a node tells what it is doing; the command line decides how that looks. */
export interface Progress {
  /** A step begins, e.g. `cloning node2`. It lasts until `end`, or until the next `begin`. */
  begin(step: string): void;
  /** Something about the step that is under way, e.g. `45 %`. */
  detail(text: string): void;
  /** The step is done; `result` is what is now the case, e.g. `node2 cloned from node1`. */
  end(result: string): void;
  /** A fact outside any step. */
  note(text: string): void;
}
