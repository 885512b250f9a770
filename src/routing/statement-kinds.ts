/**
 * What each kind of statement of PostgreSQL 18's grammar is to a router, by the name of its node (parsenodes.h). What
 * isn't here is unknown, and goes to the primary.
 */

/** What a statement is to a router. */
export type StatementKind =
  /** It reads rows, and nothing else as far as its text shows. */
  | 'read'
  /** It changes what is stored, or takes locks for that. */
  | 'write'
  /** It changes or shows the session: its settings, cursors, prepared statements, notifications. */
  | 'session'
  /** It begins, ends or configures a transaction. */
  | 'transaction'
  /** It changes definitions or runs the server. */
  | 'utility'
  | 'unknown';

/** What follows from a statement's kind alone. */
export interface KindOfStatement {
  readonly kind: StatementKind;
  /** The statement in words, as the subject or object of a sentence: `an INSERT`. */
  readonly name: string;
}

function table(kind: StatementKind, rows: string): [string, KindOfStatement][] {
  const lines = rows.trim().split('\n');
  return lines.map((line) => {
    const [tag = '', ...words] = line.trim().split(' ');
    return [tag, { kind, name: words.join(' ') }];
  });
}

/** SELECT, EXPLAIN and COPY are looked into before this is said of them. */
const READS = `
SelectStmt a SELECT
ExplainStmt an EXPLAIN
CopyStmt a COPY`;

const WRITES = `
InsertStmt an INSERT
UpdateStmt an UPDATE
DeleteStmt a DELETE
MergeStmt a MERGE
TruncateStmt a TRUNCATE
CreateTableAsStmt a CREATE TABLE AS
RefreshMatViewStmt a REFRESH MATERIALIZED VIEW
LockStmt a LOCK
NotifyStmt a NOTIFY
CallStmt a CALL
DoStmt a DO`;

/** SHOW among them: what it shows may differ between servers. */
const OF_THE_SESSION = `
VariableSetStmt a SET
VariableShowStmt a SHOW
DiscardStmt a DISCARD
ListenStmt a LISTEN
UnlistenStmt an UNLISTEN
LoadStmt a LOAD
PrepareStmt a PREPARE
ExecuteStmt an EXECUTE
DeallocateStmt a DEALLOCATE
DeclareCursorStmt a DECLARE
FetchStmt a FETCH
ClosePortalStmt a CLOSE`;

const OF_TRANSACTIONS = `
TransactionStmt a transaction command
ConstraintsSetStmt a SET CONSTRAINTS`;

const UTILITIES = `
AlterCollationStmt an ALTER COLLATION
AlterDatabaseRefreshCollStmt an ALTER DATABASE
AlterDatabaseSetStmt an ALTER DATABASE
AlterDatabaseStmt an ALTER DATABASE
AlterDefaultPrivilegesStmt an ALTER DEFAULT PRIVILEGES
AlterDomainStmt an ALTER DOMAIN
AlterEnumStmt an ALTER TYPE
AlterEventTrigStmt an ALTER EVENT TRIGGER
AlterExtensionContentsStmt an ALTER EXTENSION
AlterExtensionStmt an ALTER EXTENSION
AlterFdwStmt an ALTER FOREIGN DATA WRAPPER
AlterForeignServerStmt an ALTER SERVER
AlterFunctionStmt an ALTER FUNCTION
AlterObjectDependsStmt an ALTER ... DEPENDS ON EXTENSION
AlterObjectSchemaStmt an ALTER ... SET SCHEMA
AlterOpFamilyStmt an ALTER OPERATOR FAMILY
AlterOperatorStmt an ALTER OPERATOR
AlterOwnerStmt an ALTER ... OWNER TO
AlterPolicyStmt an ALTER POLICY
AlterPublicationStmt an ALTER PUBLICATION
AlterRoleSetStmt an ALTER ROLE
AlterRoleStmt an ALTER ROLE
AlterSeqStmt an ALTER SEQUENCE
AlterStatsStmt an ALTER STATISTICS
AlterSubscriptionStmt an ALTER SUBSCRIPTION
AlterSystemStmt an ALTER SYSTEM
AlterTSConfigurationStmt an ALTER TEXT SEARCH CONFIGURATION
AlterTSDictionaryStmt an ALTER TEXT SEARCH DICTIONARY
AlterTableMoveAllStmt an ALTER ... ALL IN TABLESPACE
AlterTableSpaceOptionsStmt an ALTER TABLESPACE
AlterTableStmt an ALTER TABLE
AlterTypeStmt an ALTER TYPE
AlterUserMappingStmt an ALTER USER MAPPING
CheckPointStmt a CHECKPOINT
ClusterStmt a CLUSTER
CommentStmt a COMMENT
CompositeTypeStmt a CREATE TYPE
CreateAmStmt a CREATE ACCESS METHOD
CreateCastStmt a CREATE CAST
CreateConversionStmt a CREATE CONVERSION
CreateDomainStmt a CREATE DOMAIN
CreateEnumStmt a CREATE TYPE
CreateEventTrigStmt a CREATE EVENT TRIGGER
CreateExtensionStmt a CREATE EXTENSION
CreateFdwStmt a CREATE FOREIGN DATA WRAPPER
CreateForeignServerStmt a CREATE SERVER
CreateForeignTableStmt a CREATE FOREIGN TABLE
CreateFunctionStmt a CREATE FUNCTION
CreateOpClassStmt a CREATE OPERATOR CLASS
CreateOpFamilyStmt a CREATE OPERATOR FAMILY
CreatePLangStmt a CREATE LANGUAGE
CreatePolicyStmt a CREATE POLICY
CreatePublicationStmt a CREATE PUBLICATION
CreateRangeStmt a CREATE TYPE
CreateRoleStmt a CREATE ROLE
CreateSchemaStmt a CREATE SCHEMA
CreateSeqStmt a CREATE SEQUENCE
CreateStatsStmt a CREATE STATISTICS
CreateStmt a CREATE TABLE
CreateSubscriptionStmt a CREATE SUBSCRIPTION
CreateTableSpaceStmt a CREATE TABLESPACE
CreateTransformStmt a CREATE TRANSFORM
CreateTrigStmt a CREATE TRIGGER
CreateUserMappingStmt a CREATE USER MAPPING
CreatedbStmt a CREATE DATABASE
DefineStmt a CREATE
DropOwnedStmt a DROP OWNED
DropRoleStmt a DROP ROLE
DropStmt a DROP
DropSubscriptionStmt a DROP SUBSCRIPTION
DropTableSpaceStmt a DROP TABLESPACE
DropUserMappingStmt a DROP USER MAPPING
DropdbStmt a DROP DATABASE
GrantRoleStmt a GRANT
GrantStmt a GRANT
ImportForeignSchemaStmt an IMPORT FOREIGN SCHEMA
IndexStmt a CREATE INDEX
ReassignOwnedStmt a REASSIGN OWNED
ReindexStmt a REINDEX
RenameStmt an ALTER ... RENAME
RuleStmt a CREATE RULE
SecLabelStmt a SECURITY LABEL
VacuumStmt a VACUUM or ANALYZE
ViewStmt a CREATE VIEW`;

const KINDS: ReadonlyMap<string, KindOfStatement> = new Map([
  ...table('read', READS),
  ...table('write', WRITES),
  ...table('session', OF_THE_SESSION),
  ...table('transaction', OF_TRANSACTIONS),
  ...table('utility', UTILITIES),
]);

const UNKNOWN: KindOfStatement = { kind: 'unknown', name: 'a statement of an unknown kind' };

/** What the table says of the statement with this node; of all others that they are unknown. */
export function kindOfStatement(tag: string): KindOfStatement {
  return KINDS.get(tag) ?? UNKNOWN;
}

/** The names of all nodes that the table knows. */
export function knownStatements(): string[] {
  return [...KINDS.keys()];
}
