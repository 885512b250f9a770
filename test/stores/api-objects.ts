/** What a Kubernetes API server keeps, and how its requests change it: a double without I/O, for one kind of object at a time. */

/** What is sent to make one: what isn't looked at stays as it came. */
export interface NewApiObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    [field: string]: unknown;
  };
  spec?: {
    holderIdentity?: string;
    leaseTransitions?: number;
    leaseDurationSeconds?: number;
    [field: string]: unknown;
  };
  [field: string]: unknown;
}

/** An object as it is kept. */
export interface ApiObject extends NewApiObject {
  metadata: NewApiObject['metadata'] & { uid: string; resourceVersion: string };
}

/** An answer, but for its transport. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: object;
}

/** Something that has happened, as a watch tells it. */
export interface ApiEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  readonly object: ApiObject;
}

const ANNOTATION_BYTES_MAX = 256 * 1024;

/** The objects of one kind in a namespace, under one counter of revisions. */
export class ApiObjects {
  #revision: number;
  #uids = 0;
  readonly #objects = new Map<string, ApiObject>();
  #events: ApiEvent[] = [];
  /** Events up to this revision are forgotten. */
  #compacted: number;
  onEvent: (event: ApiEvent) => void = () => {};

  constructor(firstRevision = 1000) {
    this.#revision = firstRevision;
    this.#compacted = firstRevision;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Something else in the cluster changes, as it always does. */
  passTime(): void {
    this.#revision++;
  }

  /** Forgets what has happened until now: who watches from before gets 410. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#events = [];
  }

  list(selector: string | null): ApiAnswer {
    const items = [...this.#objects.values()].filter((object) => matches(object, selector));
    const metadata = { resourceVersion: `${this.#revision}` };
    return { status: 200, body: structuredClone({ kind: 'List', metadata, items }) };
  }

  get(name: string): ApiAnswer {
    const object = this.#objects.get(name);
    return object === undefined ? status(404, 'NotFound') : { status: 200, body: structuredClone(object) };
  }

  create(object: NewApiObject): ApiAnswer {
    const { name, resourceVersion } = object.metadata;
    if (resourceVersion !== undefined && resourceVersion !== '') return status(400, 'resourceVersion is set');
    if (this.#objects.has(name)) return status(409, 'AlreadyExists');
    const invalid = whatIsInvalid(object);
    if (invalid !== null) return status(422, invalid);
    const made = structuredClone(object) as ApiObject;
    made.metadata.uid = `uid-${++this.#uids}`;
    this.#keep('ADDED', made);
    return { status: 201, body: structuredClone(made) };
  }

  replace(name: string, object: ApiObject): ApiAnswer {
    const old = this.#objects.get(name);
    const { resourceVersion, uid } = object.metadata;
    // A Lease may be made by PUT; but one that names the uid of another can't.
    if (old === undefined) return status(uid ? 409 : 404, 'Conflict');
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
      return status(409, 'the object has been modified; please apply your changes to the latest version');
    }
    return this.#update(old, structuredClone({ ...object, metadata: { ...object.metadata, name } }));
  }

  merge(name: string, patch: object): ApiAnswer {
    const old = this.#objects.get(name);
    if (old === undefined) return status(404, 'NotFound');
    return this.#update(old, merged(structuredClone(old), patch) as ApiObject);
  }

  remove(name: string, preconditions: { uid?: string; resourceVersion?: string } = {}): ApiAnswer {
    const old = this.#objects.get(name);
    if (old === undefined) return status(404, 'NotFound');
    const { uid = old.metadata.uid, resourceVersion = old.metadata.resourceVersion } = preconditions;
    if (uid !== old.metadata.uid || resourceVersion !== old.metadata.resourceVersion) {
      return status(409, 'Precondition failed');
    }
    this.#objects.delete(name);
    this.#note('DELETED', { ...old, metadata: { ...old.metadata, resourceVersion: `${++this.#revision}` } });
    return { status: 200, body: { kind: 'Status', status: 'Success' } };
  }

  /** What has happened since; null: that is forgotten. */
  eventsSince(revision: number, selector: string | null): readonly ApiEvent[] | null {
    if (revision < this.#compacted) return null;
    return this.#events.filter((event) => event.revision > revision && matches(event.object, selector));
  }

  #update(old: ApiObject, next: ApiObject): ApiAnswer {
    const invalid = whatIsInvalid(next);
    if (invalid !== null) return status(422, invalid);
    next.metadata.uid = old.metadata.uid;
    next.metadata.resourceVersion = old.metadata.resourceVersion;
    // A change that changes nothing is none.
    if (JSON.stringify(sorted(next)) !== JSON.stringify(sorted(old))) this.#keep('MODIFIED', next);
    return { status: 200, body: structuredClone(next) };
  }

  #keep(type: 'ADDED' | 'MODIFIED', object: ApiObject): void {
    object.metadata.resourceVersion = `${++this.#revision}`;
    this.#objects.set(object.metadata.name, object);
    this.#note(type, object);
  }

  #note(type: ApiEvent['type'], object: ApiObject): void {
    const event = { type, revision: this.#revision, object: structuredClone(object) };
    this.#events.push(event);
    this.onEvent(event);
  }
}

/** As `label=value`; null: everything. */
export function matches({ metadata }: ApiObject, selector: string | null): boolean {
  if (selector === null) return true;
  const [label, value] = selector.split('=');
  return metadata.labels?.[label as string] === value;
}

function whatIsInvalid({ metadata, spec }: NewApiObject): string | null {
  const annotations = Object.entries(metadata.annotations ?? {}).flat();
  if (Buffer.byteLength(annotations.join('')) > ANNOTATION_BYTES_MAX) return 'metadata.annotations: Too long';
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(metadata.name)) return 'metadata.name: Invalid value';
  if ((spec?.leaseDurationSeconds ?? 1) <= 0) return 'spec.leaseDurationSeconds: must be greater than 0';
  if ((spec?.leaseTransitions ?? 0) < 0) return 'spec.leaseTransitions: must not be negative';
  return null;
}

/** RFC 7396. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result = { ...(typeof target === 'object' ? target : {}) } as Record<string, unknown>;
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

function status(code: number, message: string): ApiAnswer {
  return { status: code, body: { kind: 'Status', status: 'Failure', code, message } };
}
