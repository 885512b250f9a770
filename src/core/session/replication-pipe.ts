/**
 * A replication connection, once both ends are logged in: a pipe in both directions. Its server connection is the client's
 * own, so nobody else can be harmed by what goes over it; CopyBoth (protocol chapter, "Streaming Replication") has its
 * own rules, which are the two ends' business.
 */
import { FORWARD } from '../../wire/framing.js';
import type { MessageHandler } from './message-handler.js';

export const REPLICATION_PIPE: MessageHandler = { message: () => FORWARD };
