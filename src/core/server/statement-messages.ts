/**
 * Messages of the gateway's own about prepared statements. Each is a view of one scratch buffer, which is overwritten by
 * the next: `send` copies it before.
 */
import * as Frontend from '../../wire/frontend.js';
import { MessageWriter } from '../../wire/message-writer.js';

/** In Describe and Close: a statement ('S'), not a portal. */
export const STATEMENT = 0x53;

const writer = new MessageWriter();

/** @param name with its terminating zero byte, here and below; @param definition a Parse message's body behind the name */
export function parseMessage(name: Uint8Array, definition: Uint8Array): Uint8Array {
  writer.reset();
  writer.begin(Frontend.Parse).bytes(name).bytes(definition).end();
  return writer.buffer.subarray(0, writer.length);
}

export function closeMessage(name: Uint8Array): Uint8Array {
  return aboutStatement(Frontend.Close, name);
}

export function describeMessage(name: Uint8Array): Uint8Array {
  return aboutStatement(Frontend.Describe, name);
}

function aboutStatement(type: number, name: Uint8Array): Uint8Array {
  writer.reset();
  writer.begin(type).byte(STATEMENT).bytes(name).end();
  return writer.buffer.subarray(0, writer.length);
}
