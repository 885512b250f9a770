/** Answers HTTP on the main thread, where `http_listen` says so. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Hono } from 'hono';
import { parsePlace } from '../../config/value-types.js';
import { explainListenError } from '../listen-error.js';
import type { Operator } from '../operator.js';

/** Probes and operators; more at once are turned away, so that they can't take the clients' descriptors. */
const CONNECTIONS_MAX = 100;
/** How long a request may take to arrive. */
const REQUEST_MS_MAX = 10_000;

/** Where it listens. */
export interface HttpPlace {
  readonly host: string;
  readonly port: number;
}

/** A certificate and its key, as PEM. */
export interface HttpCertificate {
  readonly cert: string;
  readonly key: string;
}

/** An open listener. */
export interface HttpListener {
  /** `127.0.0.1:8432` */
  readonly address: string;
  /** Another certificate for connections from now on; without TLS it means nothing. */
  renew(certificate: HttpCertificate): void;
  /** Closes it and what is connected to it. */
  close(): Promise<void>;
}

/**
 * Opens the listener; null where the setting names none.
 * @throws {StartError} when the place can't be listened on
 */
export async function openHttp(operator: Operator): Promise<HttpListener | null> {
  const place = parsePlace(operator.gateway.config.values.http_listen);
  if (place === null) return null;
  // What most gateways never need isn't loaded at their start.
  const { makeRoutes } = await import('./routes.js');
  const listener = await listenHttp(place, makeRoutes(operator));
  operator.log.logger.info(`HTTP on ${listener.address}: /liveness, /readiness, /health, /metrics, /reload`);
  return listener;
}

/**
 * Answers by these routes, and by TLS with a certificate.
 * @throws {StartError} when the place can't be listened on
 */
export async function listenHttp(
  place: HttpPlace,
  { fetch }: Pick<Hono, 'fetch'>,
  certificate: HttpCertificate | null = null,
): Promise<HttpListener> {
  const { getRequestListener } = await import('@hono/node-server');
  const limits = {
    ...{ requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX },
    connectionsCheckingInterval: 1000,
  };
  const listener = getRequestListener(fetch);
  let tlsServer: TlsServer | null = null;
  if (certificate !== null) {
    const https = await import('node:https');
    tlsServer = https.createServer({ ...limits, ...certificate, handshakeTimeout: REQUEST_MS_MAX }, listener);
  }
  const server = tlsServer ?? createServer(limits, listener);
  server.maxConnections = CONNECTIONS_MAX;
  try {
    server.listen(place);
    await once(server, 'listening');
  } catch (error) {
    throw explainListenError(error as NodeJS.ErrnoException & { code: string }, place);
  }
  const { address, family, port } = server.address() as AddressInfo;
  const text = family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
  const renew = (next: HttpCertificate) => tlsServer?.setSecureContext({ ...next });
  return { address: text, renew, close: () => closeServer(server) };
}

async function closeServer(server: Server | TlsServer): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
