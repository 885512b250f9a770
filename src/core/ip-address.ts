/** Internet addresses as bytes, for comparison under a mask. */

const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const GROUPS = 8;

/** 4 bytes, or 16 for IPv6; null for anything else than an address in its usual notation. */
export function parseIpAddress(text: string): Uint8Array | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array | null {
  const match = IPV4.exec(text);
  if (match === null) return null;
  const bytes = match.slice(1).map(Number);
  const isPlain = match.slice(1).every((part) => part === '0' || !part.startsWith('0'));
  return isPlain && bytes.every((byte) => byte <= 255) ? Uint8Array.from(bytes) : null;
}

/** Groups of hexadecimal digits; `::` once for zeros; an IPv4 address may stand for the last two groups. */
function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const front = parseGroups(halves[0]!, halves.length === 1);
  const back = halves.length === 1 ? [] : parseGroups(halves[1]!, true);
  if (front === null || back === null) return null;
  const missing = GROUPS - front.length - back.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...front, ...Array.from({ length: missing }, () => 0), ...back];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

function parseGroups(text: string, isLast: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (isLast && index === parts.length - 1 && part.includes('.')) {
      const ipv4 = parseIpv4(part);
      if (ipv4 === null) return null;
      groups.push((ipv4[0]! << 8) | ipv4[1]!, (ipv4[2]! << 8) | ipv4[3]!);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return null;
    }
  }
  return groups;
}

/** The address in `10.0.0.7:51234` and `[::1]:51234`, as drivers write a peer; null for a unix socket. */
export function hostOfPeer(peer: string): string | null {
  if (peer.startsWith('[')) return peer.slice(1, peer.indexOf(']'));
  const colon = peer.lastIndexOf(':');
  const host = colon < 0 ? peer : peer.slice(0, colon);
  return parseIpv4(host) === null ? null : host;
}
