/** One HTTP request with a JSON body and a JSON answer, by TCP, TLS or a unix socket. */
import {
  type Agent,
  type IncomingHttpHeaders,
  type RequestOptions,
  request as requestByHttp,
} from 'node:http';
import { request as requestByHttps } from 'node:https';
import { patientLimit } from './patient-limit.js';
import { STORE_ANSWER_BYTES_MAX, StoreError } from './store.js';

/** Where a server is. `options` has host and port, or socketPath; and what TLS needs. */
export interface Endpoint {
  readonly description: string;
  readonly secure: boolean;
  readonly options: RequestOptions;
  readonly agent: Agent;
}

/** What is asked. */
export interface JsonRequest {
  /** POST by default. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** Undefined: none is sent. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** After so long the outcome counts as unknown. ms. */
  readonly limitMs: number;
  readonly signal?: AbortSignal;
  /**
   * For an answer without end, one JSON value a line: gets each, and says with true that it has seen enough. Then
   * the answer's body is null.
   */
  readonly onLine?: (line: unknown) => boolean;
}

/** What came back. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** Errors of a connection that was never there: the request can't have been seen. */
const NEVER_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** Sends it and reads the answer; rejects with a StoreError. It is never sent a second time. */
export function requestJson(endpoint: Endpoint, request: JsonRequest): Promise<JsonAnswer> {
  return new Promise((resolve, reject) => {
    const send = endpoint.secure ? requestByHttps : requestByHttp;
    const body = request.body === undefined ? '' : JSON.stringify(request.body);
    const outgoing = send({
      ...endpoint.options,
      agent: endpoint.agent,
      method: request.method ?? 'POST',
      path: request.path,
      headers: {
        'content-type': 'application/json',
        ...request.headers,
        'content-length': Buffer.byteLength(body),
      },
    });
    const settle = (outcome: () => void) => {
      forgetLimit();
      request.signal?.removeEventListener('abort', abort);
      outcome();
      outgoing.destroy();
    };
    const fail = (error: Error & { code?: string }) => settle(() => reject(storeError(endpoint, error)));
    const abort = () => fail(new Error('given up'));
    const forgetLimit = patientLimit(request.limitMs, () =>
      fail(new Error(`no answer within ${Math.round(request.limitMs)} ms`)),
    );
    outgoing.on('error', fail);
    outgoing.on('response', (incoming) => {
      incoming.on('error', fail);
      incoming.on('aborted', () => fail(new Error('the answer was cut off')));
      const status = incoming.statusCode ?? 0;
      const { headers } = incoming;
      const answer = new AnswerBody(status, request.onLine);
      incoming.on('data', (chunk: Buffer) => {
        try {
          if (answer.add(chunk)) settle(() => resolve({ status, headers, body: null }));
        } catch (error) {
          fail(error as Error);
        }
      });
      incoming.on('end', () => {
        forgetLimit();
        request.signal?.removeEventListener('abort', abort);
        try {
          resolve({ status, headers, body: answer.end() });
        } catch (error) {
          reject(storeError(endpoint, error as Error));
        }
      });
    });
    if (request.signal?.aborted) return abort();
    request.signal?.addEventListener('abort', abort, { once: true });
    outgoing.end(body);
  });
}

function storeError(endpoint: Endpoint, error: Error & { code?: string }): StoreError {
  if (error instanceof StoreError) return error;
  const kind = NEVER_CONNECTED.has(error.code ?? '') ? 'unreachable' : 'unknown';
  return new StoreError(kind, `${endpoint.description}: ${error.message}`);
}

/** Gathers an answer, or hands its lines on as they come. */
class AnswerBody {
  readonly #status: number;
  readonly #onLine: ((line: unknown) => boolean) | undefined;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(status: number, onLine: ((line: unknown) => boolean) | undefined) {
    this.#status = status;
    this.#onLine = status === 200 ? onLine : undefined;
  }

  /** True: enough was seen. */
  add(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > STORE_ANSWER_BYTES_MAX)
      throw new Error(`more than ${STORE_ANSWER_BYTES_MAX} bytes came`);
    if (this.#onLine === undefined || !chunk.includes(10)) return false;
    const lines = Buffer.concat(this.#chunks).toString('utf8').split('\n');
    this.#chunks = [Buffer.from(lines.pop() as string)];
    this.#bytes = this.#chunks[0]!.length;
    for (const line of lines) if (line !== '' && this.#onLine(parse(line))) return true;
    return false;
  }

  end(): unknown {
    if (this.#onLine !== undefined) return null;
    const text = Buffer.concat(this.#chunks).toString('utf8');
    if (text === '') return null;
    // What stands in front of a server (a proxy, a limiter) refuses in words of its own.
    return this.#status < 400 || /^\s*\{/.test(text) ? parse(text) : text;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new StoreError('protocol', `what came is no JSON: ${JSON.stringify(text.slice(0, 80))}`);
  }
}
