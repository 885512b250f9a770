/** Encryption on both sides. */
import { oneOf, text } from '../value-types.js';
import { file, freeText, setting } from './setting.js';

/** libpq's modes (its manual, "SSL Support"). */
export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

const TLS = 'TLS';
const MODE_TYPE = `one of ${SSL_MODES.join(', ')}`;
const PROTOCOLS =
  'TLS versions, with commas between: `tlsv1.0`, `tlsv1.1`, `tlsv1.2`, `tlsv1.3`; `secure` is the last two, `all` is all.';
const CIPHERS =
  "Ciphers of TLS 1.2 and older, as OpenSSL writes them; `default`, `secure`, `fast` and `normal` are OpenSSL's defaults.";
const CIPHERS_13 = "Ciphers of TLS 1.3, by their names, with colons between. Empty: OpenSSL's defaults.";

export const clientTlsSettings = {
  client_tls_sslmode: setting(oneOf(SSL_MODES), 'disable', {
    group: TLS,
    type: MODE_TYPE,
    description:
      'Whether clients may or must use TLS: never (`disable`), if they like (`allow`, `prefer`), always (`require`), always and with a certificate that `client_tls_ca_file` vouches for (`verify-ca`, `verify-full`).',
  }),
  client_tls_key_file: file(TLS, { description: "The private key of the gateway's certificate (PEM)." }),
  client_tls_cert_file: file(TLS, { description: 'The certificate that clients see, with its chain (PEM).' }),
  client_tls_ca_file: file(TLS, { description: "Certificates that vouch for clients' certificates (PEM)." }),
  client_tls_protocols: setting(text(), 'secure', { group: TLS, type: 'text', description: PROTOCOLS }),
  client_tls_ciphers: setting(text(), 'default', { group: TLS, type: 'text', description: CIPHERS }),
  client_tls13_ciphers: freeText(TLS, { description: CIPHERS_13 }),
  client_tls_dheparams: setting(oneOf(['auto', 'none', 'legacy']), 'auto', {
    group: TLS,
    type: 'one of auto, none, legacy',
    description:
      'Diffie-Hellman parameters for ciphers with DHE: chosen by the strength of the key, or none.',
  }),
  client_tls_ecdhcurve: setting(text(), 'auto', {
    group: TLS,
    type: 'text',
    description: "The curve of ECDHE key exchanges: OpenSSL's choice (`auto`), a curve's name, or `none`.",
  }),
};

export const serverTlsSettings = {
  server_tls_sslmode: setting(oneOf(SSL_MODES), 'prefer', {
    group: TLS,
    type: MODE_TYPE,
    description:
      "Whether connections to servers use TLS: never (`disable`), where the server offers it (`allow`, `prefer`), always (`require`), always and with a certificate that `server_tls_ca_file` vouches for (`verify-ca`) and that names the server's host (`verify-full`). Unix sockets use none.",
  }),
  server_tls_ca_file: file(TLS, { description: "Certificates that vouch for servers' certificates (PEM)." }),
  server_tls_key_file: file(TLS, {
    description: 'The private key of the certificate with which the gateway logs in to servers (PEM).',
  }),
  server_tls_cert_file: file(TLS, {
    description: 'The certificate with which the gateway logs in to servers (PEM).',
  }),
  server_tls_protocols: setting(text(), 'secure', { group: TLS, type: 'text', description: PROTOCOLS }),
  server_tls_ciphers: setting(text(), 'default', { group: TLS, type: 'text', description: CIPHERS }),
  server_tls13_ciphers: freeText(TLS, { description: CIPHERS_13 }),
};
