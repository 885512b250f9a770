/**
 * What the schema knows and the gateway cannot do yet, where going on without it would be less safe than what was
 * asked for: such a configuration is refused.
 */
import type { AuthType } from '../core/settings.js';
import type { OriginMap } from './origin-map.js';
import type { Problem } from './problem.js';
import type { ConfigValues } from './schema.js';

const CORE_AUTH_TYPES: ReadonlySet<string> = new Set<AuthType>(['trust', 'plain', 'md5', 'scram-sha-256']);

/** The settings that would be less safe than they look. */
export function unsupported(values: ConfigValues, origins: OriginMap): Problem[] {
  const problems: Problem[] = [];
  const refuse = (key: string, message: string): void => {
    problems.push({ origin: origins.get([key]), key, message });
  };
  if (!CORE_AUTH_TYPES.has(values.auth_type)) refuse('auth_type', `${values.auth_type} is not supported yet`);
  return problems;
}

/**
 * The core's word for `auth_type`.
 * @throws when {@link unsupported} refuses it
 */
export function coreAuthType({ auth_type }: ConfigValues): AuthType {
  if (!CORE_AUTH_TYPES.has(auth_type)) throw new Error(`auth_type ${auth_type} is not supported`);
  return auth_type as AuthType;
}
