/** Which ports machines reach on one another. */
import { FRONT_PORT } from './cluster-under-test.js';
import { POSTGRES_PORT } from './database-node.js';

/** Of who manages a node. */
export const HTTP_PORT = 8008;
/** Of a member of the store: for clients, and for the other members. */
export const STORE_PORT = 2379;
export const PEER_PORT = 2380;

export const PUBLISHED_PORTS: readonly number[] = [
  FRONT_PORT,
  POSTGRES_PORT,
  HTTP_PORT,
  STORE_PORT,
  PEER_PORT,
];
