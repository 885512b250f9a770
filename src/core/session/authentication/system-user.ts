/** `peer`: at a unix socket the kernel knows which user of the system the client is. */
import type { IdentMap } from '../../hba.js';
import type { PeerCredentials } from '../../io.js';
import { type AuthenticationStep, type Claim, type DialogueServices, proved, unproved } from './dialogue.js';

const REFUSED = unproved('unix socket login rejected');

/**
 * @param map null: the two users must have the same name
 * @param peer null: the client didn't come by a unix socket, or the driver can't ask the kernel
 */
export function judgeSystemUser(
  claim: Claim,
  map: IdentMap | null,
  peer: PeerCredentials | null,
  services: DialogueServices,
): AuthenticationStep {
  if (peer === null) {
    services.report('warn', 'peer authentication needs a unix socket, and an I/O driver other than "node"');
    return REFUSED;
  }
  if (claim.secret === null) return REFUSED;
  return services.ask({ kind: 'systemUser', uid: peer.uid }, (answer) => {
    const systemUser = answer.kind === 'systemUser' ? answer.name : null;
    if (systemUser !== null && mayBe(systemUser, claim.name, map)) return proved(claim);
    if (map !== null) services.report('warn', `ident map ${map.name} cannot be matched`);
    return REFUSED;
  });
}

function mayBe(systemUser: string, name: string, map: IdentMap | null): boolean {
  if (map === null) return systemUser === name;
  return map.lines.some(
    (line) => line.systemUser === systemUser && (line.user === null || line.user === name),
  );
}
