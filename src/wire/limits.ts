/**
 * Every limit of the codec, in one place, with its unit in its name. Limits that an operator may set
 * (`max_packet_size` and the like) are settings of the core, not of the codec.
 */

/** The length word and the version or request code: the shortest packet that a client may begin with. */
export const MIN_STARTUP_PACKET_BYTES = 8;

/** PostgreSQL's bound on an untyped first packet, in bytes, its 4-byte length word not counted. */
export const MAX_STARTUP_PACKET_LENGTH = 10_000;

/** A cancel key: 4 bytes in protocol 3.0; 3.2 allows up to 256 (documentation, "BackendKeyData"). */
export const MIN_CANCEL_SECRET_BYTES = 4;
export const MAX_CANCEL_SECRET_BYTES = 256;

/** The largest message body that PostgreSQL itself accepts: one byte under 1 GiB (`MaxAllocSize`). */
export const MAX_MESSAGE_BYTES = 0x3fff_ffff;

/** A password in clear text or an md5 answer (PostgreSQL's `PG_MAX_AUTH_TOKEN_LENGTH`). */
export const MAX_PASSWORD_BYTES = 65_535;

/** A SASL message from a client, as PostgreSQL bounds it (`PG_MAX_SASL_MESSAGE_LENGTH`). */
export const MAX_CLIENT_SASL_MESSAGE_BYTES = 1024;

/** A SASL message from a server; libpq accepts authentication requests of at most 2,000 bytes. */
export const MAX_SERVER_SASL_MESSAGE_BYTES = 2000;

/**
 * The highest iteration count that a server may ask of us in SCRAM; PostgreSQL's default is 4,096. Each costs about
 * a microsecond of CPU, so a hostile server could otherwise keep the deriving thread busy for minutes.
 */
export const MAX_SCRAM_ITERATIONS = 1_000_000;

/** Counts in Bind, RowDescription, DataRow and others are unsigned 16-bit words. */
export const MAX_COUNT_16 = 0xffff;

/** What a reusable `MessageWriter` starts with, and what it keeps at most after a reset. */
export const INITIAL_WRITER_BYTES = 256;
export const MAX_RETAINED_WRITER_BYTES = 65_536;
