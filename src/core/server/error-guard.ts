/**
 * PostgreSQL's setting `exit_on_error` makes FATAL of each ERROR (elog.c, `ExitOnAnyError`), so that the server process
 * ends. A query of ours that begins with it needs no waiting: if it fails, nothing behind it in the socket is read any
 * more. LOCAL ends it with the query's own (implicit) transaction, before the next message is read.
 *
 * It is a field of an object so that the simulator's own test can replace it with a wrong one, and show that the simulator
 * notices.
 */
export const errorGuard = {
  /** @param query statements that may run in a transaction block, no error of which lets anything behind them run */
  around(query: string): string {
    return `SET LOCAL exit_on_error = 'on'; ${query}`;
  },
};

/** Whether a server connection takes {@link errorGuard}: only its first use can tell, which is waited for. */
export type GuardState = 'untried' | 'works' | 'refused';
