/** Seeds that once found a defect; each is run in every test run, as it was then. */
import type { Profile } from './plan.js';

export interface Regression {
  readonly seed: number;
  /** Absent: the seed itself decides. */
  readonly profile?: Profile;
  /** Its clients keep state in their sessions, which those of older seeds didn't. */
  readonly hasSessionState?: true;
  /** Its servers are on this machine, and may have a unix socket. */
  readonly hasLocalSocket?: true;
  /** Its clients take hardly anything at once. */
  readonly isTight?: true;
  /** What it found. */
  readonly found: string;
}

export const REGRESSIONS: readonly Regression[] = [
  { seed: 1, found: 'a server connection older than server_lifetime before its login was over' },
  { seed: 2, found: 'a client that left in the middle of a message kept its server connection' },
  { seed: 3, found: 'a FATAL error was written into the middle of a row' },
  { seed: 5, found: 'the refusal of a Parse that the gateway had inserted did not reach the client' },
  { seed: 11, found: 'one server connection was free twice' },
  { seed: 13, found: 'a server connection changed hands without the reset query, after a cancel request' },
  { seed: 25, found: 'a statement was forgotten when Close and Parse of its name were skipped' },
  { seed: 27, found: 'a name was free though the statement behind it had not been closed' },
  { seed: 294, found: 'an old unnamed statement of the same client was taken for its present one' },
  { seed: 21310, found: 'a synthetic answer was written into the middle of a notice' },
  { seed: 100157, found: 'a FATAL error of a server whose transaction was over reached the client' },
  { seed: 102414, found: 'the reset query overtook the rest of the message before Terminate' },
  { seed: 2008236, found: "an answer of the gateway's own behind a server's FATAL" },
  {
    seed: 20974,
    found: 'a statement that was evicted counted as dropped, though its Parse lay behind the drop',
  },
  { seed: 3969346593, found: 'an unnamed statement whose Parse was under way was prepared again' },
  { seed: 1000859, found: 'a Close of a named statement that was skipped cast doubt on the unnamed one' },
  {
    seed: 10,
    hasSessionState: true,
    found: 'with a forced user, the login user itself was taken for a session authorization that was set',
  },
  {
    seed: 2313,
    hasSessionState: true,
    found: "a drain handed a server connection on with its last client's advisory locks",
  },
  {
    seed: 2004622,
    hasSessionState: true,
    found: 'a client that had ended, all answered, waited for what a silent server held for it',
  },
  {
    seed: 740657433,
    hasSessionState: true,
    hasLocalSocket: true,
    found: 'a cancel request that hit what the gateway does before an UNLISTEN made that do nothing',
  },
  {
    seed: 3360148377,
    hasSessionState: true,
    found: 'of a name that was taken, in a failed transaction, not even a syntax error was told',
  },
  {
    seed: 222,
    hasSessionState: true,
    isTight: true,
    found: 'a client that was slow to take what came heard its own notification behind ReadyForQuery',
  },
  {
    seed: 504715,
    hasSessionState: true,
    hasLocalSocket: true,
    found: 'a LISTEN that was skipped, its batch having failed, kept back all notifications for good',
  },
  {
    seed: 502693,
    hasSessionState: true,
    isTight: true,
    found: 'what came to a server connection that had listened before was not passed on',
  },
  {
    seed: 902349,
    hasSessionState: true,
    found: 'a drain sent the next statement to a server connection without the temporary table that it needs',
  },
];
