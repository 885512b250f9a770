/** The bits of what a statement may leave in its session. */

/** See `sessionEffects`. */
export const SessionEffect = {
  NONE: 0,
  /**
   * Something may stay in the session: a setting, a temporary object, a lock, a held cursor, whatever an unknown
   * function leaves.
   */
  STATE: 1,
  /** LISTEN or UNLISTEN. */
  LISTEN: 2,
  /** nextval() or setval() is called, so that currval() and lastval() have a value in this session. */
  SEQUENCE_SET: 4,
  /** currval() or lastval() is called. */
  SEQUENCE_READ: 8,
  /** LOAD of a library. */
  LOAD: 16,
  /** DISCARD ALL. */
  DISCARD_ALL: 32,
  /** PREPARE, EXECUTE, DEALLOCATE, DISCARD ALL or DISCARD PLANS in SQL. */
  PREPARED: 64,
  /**
   * A setting is named that an extension or application made up (its name has a dot), or set_config() gets a name
   * that can't be known; pg_settings doesn't show these: see `customSettingNames`.
   */
  CUSTOM_SETTING: 128,
  /** Rows are added (INSERT, MERGE, COPY): a default or a trigger may call nextval() unseen. */
  INSERT: 256,
  /** Something may stay where no query finds it: setseed(), a backup under way, replication origins and slots. */
  UNSEEN: 512,
  /** NOTIFY or pg_notify(): nothing stays, but listeners hear of it. */
  NOTIFY: 1024,
  /** Rows are changed, removed or locked: a trigger may call nextval() unseen. */
  MODIFY: 2048,
  /** pg_listening_channels() is called: nothing stays, but what it shows is the session's. */
  CHANNELS: 4096,
  /** Comes with {@link STATE}: code runs that the text doesn't show, such as a function of the user's, DO or CALL. */
  OPAQUE: 8192,
  /** COMMIT, END or PREPARE TRANSACTION: nothing stays, but what was done before may last. */
  COMMIT: 16384,
} as const;
