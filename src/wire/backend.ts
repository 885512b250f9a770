/**
 * Type codes of the messages that a server sends (PostgreSQL documentation, "Message Formats").
 * Import as a namespace: `import * as Backend from './backend.js'`.
 */
export const Authentication = 0x52; // R
export const BackendKeyData = 0x4b; // K
export const BindComplete = 0x32; // 2
export const CloseComplete = 0x33; // 3
export const CommandComplete = 0x43; // C
export const CopyBothResponse = 0x57; // W
export const CopyData = 0x64; // d
export const CopyDone = 0x63; // c
export const CopyInResponse = 0x47; // G
export const CopyOutResponse = 0x48; // H
export const DataRow = 0x44; // D
export const EmptyQueryResponse = 0x49; // I
export const ErrorResponse = 0x45; // E
export const FunctionCallResponse = 0x56; // V
export const NegotiateProtocolVersion = 0x76; // v
export const NoData = 0x6e; // n
export const NoticeResponse = 0x4e; // N
export const NotificationResponse = 0x41; // A
export const ParameterDescription = 0x74; // t
export const ParameterStatus = 0x53; // S
export const ParseComplete = 0x31; // 1
export const PortalSuspended = 0x73; // s
export const ReadyForQuery = 0x5a; // Z
export const RowDescription = 0x54; // T

/** ReadyForQuery's status byte. */
export const Idle = 0x49; // I
export const InTransaction = 0x54; // T
export const InFailedTransaction = 0x45; // E

/** The first Int32 of an Authentication message. */
export const AuthenticationOk = 0;
export const AuthenticationCleartextPassword = 3;
export const AuthenticationMD5Password = 5;
export const AuthenticationSASL = 10;
export const AuthenticationSASLContinue = 11;
export const AuthenticationSASLFinal = 12;
