/** Limits of the work for authentication that are not settings. */

/** A connection for `auth_query` that was not used for so long is closed, in ms. */
export const IDLE_MS_MAX = 10_000;

/** Lookups by `auth_query` that run at one time, over all databases; more wait. */
export const LOOKUPS_MAX = 50;

/** Where the settings set no limit: a connection that hangs must not keep its place for ever. In ms. */
export const LOOKUP_MS_MAX = 60_000;

/** Answers of `auth_query` that are remembered. */
export const ANSWERS_MAX = 10_000;

/** Verifiers made of clear-text passwords that `auth_query` has given. */
export const VERIFIERS_MAX = 1000;

/** Names of the system's users that are remembered, and for how long, in ms. */
export const SYSTEM_USERS_MAX = 1000;
export const SYSTEM_USER_MS = 60_000;

/** Passwords that are being checked at LDAP servers at one time; more wait. */
export const LDAP_CHECKS_MAX = 20;

/** How long one step of such a check may take, and connecting for it (as in PgBouncer), in ms. */
export const LDAP_CHECK_MS_MAX = 10_000;
export const LDAP_CONNECT_MS_MAX = 3000;
