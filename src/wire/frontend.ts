/**
 * Type codes of the messages that a client sends (PostgreSQL documentation, "Message Formats"), and the codes
 * that stand in place of a protocol version in the untyped first packet.
 * Import as a namespace: `import * as Frontend from './frontend.js'`.
 */
export const Bind = 0x42; // B
export const Close = 0x43; // C
export const CopyData = 0x64; // d
export const CopyDone = 0x63; // c
export const CopyFail = 0x66; // f
export const Describe = 0x44; // D
export const Execute = 0x45; // E
export const Flush = 0x48; // H
export const FunctionCall = 0x46; // F
export const Parse = 0x50; // P
/** PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share this code. */
export const Password = 0x70; // p
export const Query = 0x51; // Q
export const Sync = 0x53; // S
export const Terminate = 0x58; // X

export const ProtocolVersion3 = 0x0003_0000;
export const ProtocolVersion32 = 0x0003_0002;
export const CancelRequestCode = 80877102;
export const SSLRequestCode = 80877103;
export const GSSENCRequestCode = 80877104;
