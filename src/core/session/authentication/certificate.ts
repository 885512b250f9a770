/** `cert`: the client's verified TLS certificate names the user, by itself or through a name map. */
import type { IdentMap } from '../../hba.js';
import type { TlsPeer } from '../../io.js';
import { type AuthenticationStep, type Claim, type DialogueServices, proved, unproved } from './dialogue.js';

const REFUSED = unproved('certificate authentication failed');

/** @param map null: the certificate must name the user itself */
export function judgeCertificate(
  claim: Claim,
  map: IdentMap | null,
  services: DialogueServices,
): AuthenticationStep {
  const reason = mismatch(claim, map, services);
  if (reason === null) return proved(claim);
  if (reason !== '') services.report('warn', reason);
  return REFUSED;
}

/** Why not, in PgBouncer's words; empty: there is nothing to say. Null: it fits. */
function mismatch({ name, secret }: Claim, map: IdentMap | null, { tls }: DialogueServices): string | null {
  if (tls === null) return 'TLS connection required';
  const { peer } = tls;
  if (peer === null) return 'TLS client certificate required';
  if (secret === null) return '';
  if (map === null) return names(peer, name) ? null : 'TLS certificate name mismatch';
  const isMapped = map.lines.some(
    ({ systemUser, user }) => (user === null || user === name) && names(peer, systemUser),
  );
  return isMapped ? null : `ident map: ${map.name} does not have a match`;
}

/**
 * Whether a certificate is for this name: its common name, or one of its alternative names. Unlike in PgBouncer, names
 * are compared exactly: a wildcard stands for hosts, not for users.
 */
function names({ commonName, alternativeNames }: TlsPeer, name: string): boolean {
  return commonName === name || alternativeNames.includes(name);
}
