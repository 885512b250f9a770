/**
 * The options of an LDAP server: those of an `ldap` line in `pg_hba.conf` (PostgreSQL documentation, "LDAP
 * Authentication"), which `auth_ldap_options` takes, too. Each is `key=value`; either may stand in double quotes.
 */
import type { LdapBind, LdapServer } from '../core/authority.js';

const PAIR = /[\s]*,?[\s]*(?:"((?:[^"]|"")*)"|([^\s="]+))=(?:"((?:[^"]|"")*)"|([^\s,"][^\s,]*))/y;
const KEYS: ReadonlySet<string> = new Set([
  'ldaptls',
  'ldapscheme',
  'ldapport',
  'ldapserver',
  'ldapbinddn',
  'ldapbindpasswd',
  'ldapsearchattribute',
  'ldapsearchfilter',
  'ldapbasedn',
  'ldapprefix',
  'ldapsuffix',
  'ldapurl',
]);
/** Of these two ways to find the user's name in the directory, one is to be chosen. */
const SIMPLE = ['ldapprefix', 'ldapsuffix'] as const;
const SEARCH = [
  'ldapbasedn',
  'ldapbinddn',
  'ldapbindpasswd',
  'ldapsearchattribute',
  'ldapsearchfilter',
] as const;
const PORTS = Object.freeze({ ldap: 389, ldaps: 636 });
const SCOPES: Readonly<Record<string, 'base' | 'one' | 'sub'>> = Object.freeze({
  base: 'base',
  one: 'one',
  onelevel: 'one',
  sub: 'sub',
  subtree: 'sub',
});

type Options = Map<string, string>;

/** A text says what is wrong. It names no value, since one of them is a password. */
export function parseLdapOptions(text: string): LdapServer | string {
  const options = readPairs(text);
  if (typeof options === 'string') return options;
  const url = options.get('ldapurl');
  const scope = url === undefined ? 'sub' : takeUrl(url, options);
  if (scope === null)
    return 'ldapurl cannot be read: expected ldap[s]://host[:port]/basedn[?attribute[?scope[?filter]]]';
  const bind = readBind(options, scope);
  if (typeof bind === 'string') return bind;
  const scheme = options.get('ldapscheme') ?? 'ldap';
  if (scheme !== 'ldap' && scheme !== 'ldaps') return 'ldapscheme is ldap or ldaps';
  const port = Number(options.get('ldapport') ?? PORTS[scheme]);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return 'ldapport is no port number';
  const hosts = (options.get('ldapserver') ?? '').split(/\s+/).filter((host) => host !== '');
  if (hosts.length === 0) return 'ldapserver is missing (finding servers by DNS is not supported)';
  return Object.freeze({ scheme, hosts, port, startTls: options.get('ldaptls') === '1', bind });
}

function readPairs(text: string): Options | string {
  const options: Options = new Map();
  let position = 0;
  while (text.slice(position).trim() !== '') {
    PAIR.lastIndex = position;
    const match = PAIR.exec(text);
    if (match === null)
      return 'options are expected as key=value, with values in double quotes where they hold spaces';
    position = PAIR.lastIndex;
    const key = match[1]?.replaceAll('""', '"') ?? match[2]!;
    if (!KEYS.has(key)) return `invalid LDAP option: ${JSON.stringify(key)}`;
    options.set(key, match[3]?.replaceAll('""', '"') ?? match[4]!);
  }
  return options;
}

/** Spreads a URL (RFC 4516) over the other options; gives its scope, or null when it can't be read. */
function takeUrl(text: string, options: Options): LdapBindScope | null {
  const match = /^(ldaps?):\/\/(\[[^\]]*\]|[^:/?]*)(?::(\d+))?(?:\/(.*))?$/is.exec(text);
  if (match === null) return null;
  const [, scheme, host, port, rest = ''] = match;
  const parts = rest.split('?').map(decode);
  if (parts.length > 4 || parts.includes(null)) return null;
  const [baseDn, attributes = '', scopeWord = '', filter = ''] = parts as string[];
  const scope = scopeWord === '' ? 'base' : SCOPES[scopeWord.toLowerCase()];
  if (scope === undefined) return null;
  options.set('ldapscheme', scheme!.toLowerCase());
  if (host !== '') options.set('ldapserver', host!.replace(/^\[|\]$/g, ''));
  if (port !== undefined) options.set('ldapport', port);
  if (baseDn) options.set('ldapbasedn', baseDn);
  if (attributes !== '') options.set('ldapsearchattribute', attributes.split(',')[0]!);
  if (filter !== '') options.set('ldapsearchfilter', filter);
  return scope;
}

type LdapBindScope = Extract<LdapBind, { kind: 'search' }>['scope'];

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function readBind(options: Options, scope: LdapBindScope): LdapBind | string {
  const isSimple = SIMPLE.some((key) => options.has(key));
  if (isSimple && SEARCH.some((key) => options.has(key))) {
    return 'cannot mix options for simple bind and search+bind modes';
  }
  if (isSimple) {
    return {
      kind: 'simple',
      prefix: options.get('ldapprefix') ?? '',
      suffix: options.get('ldapsuffix') ?? '',
    };
  }
  const baseDn = options.get('ldapbasedn');
  if (baseDn === undefined) return 'ldapbasedn, ldapprefix, or ldapsuffix is missing';
  if (options.has('ldapsearchattribute') && options.has('ldapsearchfilter')) {
    return 'cannot use ldapsearchattribute together with ldapsearchfilter';
  }
  const filter =
    options.get('ldapsearchfilter') ?? `(${options.get('ldapsearchattribute') ?? 'uid'}=$username)`;
  return {
    kind: 'search',
    baseDn,
    scope,
    bindDn: options.get('ldapbinddn') ?? '',
    bindPassword: options.get('ldapbindpasswd') ?? '',
    filter: filter.startsWith('(') ? filter : `(${filter})`,
  };
}
