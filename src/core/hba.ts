/**
 * Host-based authentication: which method a client must pass, by where it comes from and what it asks for (PostgreSQL
 * documentation, "The pg_hba.conf File"; PgBouncer's manual, "HBA file format"). The first rule that fits decides.
 */
import type { LdapServer } from './authority.js';
import { parseIpAddress } from './ip-address.js';

/** The method of a rule, by PgBouncer's names for `auth_type`. */
export type HbaMethod = 'trust' | 'reject' | 'plain' | 'md5' | 'scram-sha-256' | 'cert' | 'peer' | 'ldap';

/** A column of databases or users. */
export interface HbaNames {
  readonly all: boolean;
  /** `sameuser`: database and user have the same name. */
  readonly same: boolean;
  /** `replication`: fits physical replication, which fits nothing else. */
  readonly replication: boolean;
  readonly names: ReadonlySet<string>;
}

/** Addresses that are equal to `base` where `mask` has a one; both have 4 or 16 bytes. */
export interface AddressRange {
  readonly base: Uint8Array;
  readonly mask: Uint8Array;
}

/** Who may log in as whom: a name map (PostgreSQL documentation, "User Name Maps"). */
export interface IdentMap {
  readonly name: string;
  readonly lines: readonly {
    readonly systemUser: string;
    /** Null: as anybody (`all`). */
    readonly user: string | null;
  }[];
}

export interface HbaRule {
  readonly line: number;
  readonly connection: 'local' | 'host' | 'hostssl' | 'hostnossl';
  readonly databases: HbaNames;
  readonly users: HbaNames;
  /** Null: all. */
  readonly addresses: AddressRange | null;
  readonly method: HbaMethod;
  readonly map: IdentMap | null;
  /** For `ldap`; null: its options can't be used, so nobody can log in by this rule. */
  readonly ldap: LdapServer | null;
}

/** A client, as the rules see it. */
export interface HbaClient {
  /** Null: it came by a unix socket. */
  readonly address: string | null;
  readonly isEncrypted: boolean;
  readonly isPhysicalReplication: boolean;
  readonly database: string;
  readonly user: string;
}

/** The first rule that fits; null when there is none. */
export function findHbaRule(rules: readonly HbaRule[], client: HbaClient): HbaRule | null {
  const address = client.address === null ? null : parseIpAddress(client.address);
  return rules.find((rule) => comesThatWay(rule, client, address) && asksForThat(rule, client)) ?? null;
}

function comesThatWay(rule: HbaRule, client: HbaClient, address: Uint8Array | null): boolean {
  if (client.address === null || rule.connection === 'local') {
    return client.address === null && rule.connection === 'local';
  }
  if (rule.connection === 'hostssl' && !client.isEncrypted) return false;
  if (rule.connection === 'hostnossl' && client.isEncrypted) return false;
  return rule.addresses === null || (address !== null && isWithin(address, rule.addresses));
}

function isWithin(address: Uint8Array, { base, mask }: AddressRange): boolean {
  if (address.length !== base.length) return false;
  return address.every((byte, at) => (byte & mask[at]!) === base[at]);
}

function asksForThat({ databases, users }: HbaRule, client: HbaClient): boolean {
  const fits = client.isPhysicalReplication
    ? databases.replication
    : fitsNames(databases, client.database, client.user);
  return fits && fitsNames(users, client.user, client.database);
}

function fitsNames(column: HbaNames, name: string, partner: string): boolean {
  return column.all || (column.same && name === partner) || column.names.has(name);
}
