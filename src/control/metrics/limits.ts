/** How much one page of metrics may hold. What is left out is told by `sluice_left_out`. */

/** Databases with series of their own: those that clients came to first. */
export const DATABASES_SHOWN_MAX = 100;
/** Pools, by database and user. */
export const POOLS_SHOWN_MAX = 500;
/** Nodes of all databases together. */
export const NODES_SHOWN_MAX = 200;
