/** What is wrong in a namespace, in words, each with the next step. */
import { CLUSTER_LABEL, NOBODY_YET, ROLE_LABEL } from '../../stores/kubernetes/cluster-leases.js';
import type { Lease, NamespaceSnapshot, Pod, Service, Workload } from './snapshot.js';

/** One thing that was found. */
export interface Finding {
  /** `wrong`: something does not work, or soon won't. `notice`: it works, and is worth knowing. */
  readonly level: 'wrong' | 'notice';
  readonly about: string;
  readonly what: string;
  readonly next: string;
}

/** Files that have to be in the Secrets, by the Secret's name. */
const SECRET_FILES: Readonly<Record<string, readonly string[]>> = {
  'sluice-users': ['users.txt'],
  'sluice-nodes': ['superuser-password', 'replication-password', 'http-token', 'auth-password'],
};
/** A Lease is renewed five times in its duration; the clocks of two machines differ, too. */
const STALE_LEASES = 3;
const RESTARTS_MANY = 3;

/** Everything that is wrong, the causes before what follows from them. `nowMs` is the time of day. */
export function judgeNamespace(seen: NamespaceSnapshot, nowMs: number): Finding[] {
  const { deployments, statefulSets, namespace } = seen;
  if (deployments.length + statefulSets.length === 0) {
    return [
      {
        level: 'wrong',
        about: `namespace ${namespace}`,
        what: 'there is no Sluice here: nothing has the label app.kubernetes.io/name=sluice',
        next: 'Name another namespace by -n, or apply the manifests: sluice kubernetes render --help',
      },
    ];
  }
  return [
    ...judgeFiles(seen),
    ...judgeClaims(seen),
    ...seen.pods.flatMap(judgePod),
    ...judgeWorkloads(seen),
    ...judgeAgentFiles(seen),
    ...judgeLeases(seen, nowMs),
    ...judgeServices(seen),
    ...judgeBudgets(seen),
    ...seen.unread.map(
      (what): Finding => notice('rights', `not looked at: ${what}`, 'Ask as somebody who may read it.'),
    ),
  ];
}

function wrong(about: string, what: string, next: string): Finding {
  return { level: 'wrong', about, what, next };
}

function notice(about: string, what: string, next: string): Finding {
  return { level: 'notice', about, what, next };
}

function judgeFiles({ files, namespace }: NamespaceSnapshot): Finding[] {
  return [...files].flatMap(([about, keys]) => {
    const name = about.split(' ')[1] as string;
    const needed = about.startsWith('Secret ') ? (SECRET_FILES[name] ?? []) : [];
    const how = needed.map((file) => `--from-literal=${file}=...`).join(' ');
    const create = `kubectl -n ${namespace} create secret generic ${name} ${how}`.trim();
    if (keys === null) {
      const next = about.startsWith('Secret ') ? create : 'Apply the manifests again: it belongs to them.';
      return [wrong(about, 'is not there, so that no pod that needs it can start', next)];
    }
    return needed
      .filter((file) => !keys.includes(file))
      .map((file) => wrong(about, `has no ${file}`, `Add it: docs/kubernetes.md says what it holds.`));
  });
}

function judgeClaims({ claims }: NamespaceSnapshot): Finding[] {
  return claims
    .filter(({ status }) => status.phase !== 'Bound')
    .map(({ metadata, status }) =>
      wrong(
        `PersistentVolumeClaim ${metadata.name}`,
        `is ${status.phase || 'new'}: its node has no disk yet`,
        'Is there a storage class, and does it make volumes? kubectl get storageclass; kubectl describe pvc',
      ),
    );
}

function judgePod({ metadata, status }: Pod): Finding[] {
  const about = `pod ${metadata.name}`;
  const unplaced = status.conditions.find(
    ({ type, status: is }) => type === 'PodScheduled' && is === 'False',
  );
  if (unplaced !== undefined) {
    const next =
      'Nodes of one cluster are never on one machine: it needs as many machines as nodes, with room for them.';
    return [wrong(about, `finds no machine: ${unplaced.message || unplaced.reason}`, next)];
  }
  return status.containerStatuses.flatMap((container): Finding[] => {
    const { waiting } = container.state;
    const { terminated } = container.lastState;
    if (terminated?.reason === 'OOMKilled') {
      return [wrong(about, 'was ended for want of memory', 'Give it more: resources.memory of the values.')];
    }
    if (waiting !== undefined && waiting.reason !== 'ContainerCreating')
      return [judgeWaiting(about, waiting)];
    if (container.restartCount >= RESTARTS_MANY) {
      const why = terminated === undefined ? '' : `, the last time with exit code ${terminated.exitCode}`;
      return [
        notice(
          about,
          `has begun anew ${container.restartCount} times${why}`,
          `kubectl logs ${metadata.name} --previous`,
        ),
      ];
    }
    return [];
  });
}

function judgeWaiting(about: string, { reason, message }: { reason: string; message: string }): Finding {
  const said = message === '' ? reason : `${reason}: ${message}`;
  const pod = about.slice('pod '.length);
  if (/ImagePull|InvalidImageName/.test(reason))
    return wrong(
      about,
      `has no image (${said})`,
      'Is it pushed, named right, and may it be pulled (pull_secrets)?',
    );
  if (reason === 'CrashLoopBackOff')
    return wrong(about, 'ends again and again', `It says why: kubectl logs ${pod} --previous`);
  if (reason.startsWith('CreateContainer'))
    return wrong(about, `can't begin (${said})`, 'A Secret or a ConfigMap lacks what it names.');
  return wrong(about, `waits (${said})`, `kubectl describe pod ${pod}`);
}

function judgeWorkloads({ deployments, statefulSets }: NamespaceSnapshot): Finding[] {
  const judge =
    (kind: string, next: string) =>
    ({ metadata, spec, status }: Workload): Finding[] => {
      const { readyReplicas: ready } = status;
      if (ready >= spec.replicas) return [];
      const what = `${ready} of ${spec.replicas} are ready`;
      const about = `${kind} ${metadata.name}`;
      return [ready === 0 && spec.replicas > 0 ? wrong(about, what, next) : notice(about, what, next)];
    };
  return [
    ...deployments.flatMap(judge('Deployment', 'GET /readiness of a pod says what it waits for.')),
    ...statefulSets.flatMap(
      judge('StatefulSet', 'A node is ready when it leads or follows: "sluice status" says what it does.'),
    ),
  ];
}

/** Each pod of a StatefulSet has an agent's file of its name. */
function judgeAgentFiles({ statefulSets, files }: NamespaceSnapshot): Finding[] {
  return statefulSets.flatMap(({ metadata, spec }) => {
    const map = spec.template.spec.volumes.find(({ configMap }) =>
      configMap?.name.startsWith('sluice-agent'),
    );
    const keys = files.get(`ConfigMap ${map?.configMap?.name}`) ?? null;
    if (keys === null) return [];
    const pods = Array.from({ length: spec.replicas }, (_, index) => `${metadata.name}-${index}`);
    return pods
      .filter((pod) => !keys.includes(`${pod}.yaml`))
      .map((pod) =>
        wrong(
          `pod ${pod}`,
          `has no file ${pod}.yaml in ConfigMap ${map?.configMap?.name}`,
          'Render with cluster.nodes instead of scaling by hand.',
        ),
      );
  });
}

function judgeLeases(seen: NamespaceSnapshot, nowMs: number): Finding[] {
  const clusters = seen.leases.filter(({ metadata }) => metadata.labels[CLUSTER_LABEL] === metadata.name);
  if (clusters.length === 0 && seen.statefulSets.length > 0 && seen.unread.length === 0) {
    const next =
      'It begins when the first node has made its data, one lease later. If that lasts: kubectl logs main-0';
    return [wrong('cluster', 'has no Lease yet: it has never had a primary', next)];
  }
  return clusters.flatMap((lease) => judgeLease(lease, seen, nowMs));
}

function judgeLease({ metadata, spec }: Lease, { pods }: NamespaceSnapshot, nowMs: number): Finding[] {
  const about = `cluster ${metadata.name}`;
  const { holderIdentity: holder, renewTime, leaseDurationSeconds } = spec;
  if (holder === '' || holder === NOBODY_YET) {
    return [wrong(about, 'has no primary: nobody holds its Lease', 'Whom is waited for? sluice status')];
  }
  const silentS = renewTime === undefined ? 0 : Math.round((nowMs - Date.parse(renewTime)) / 1000);
  if (silentS > STALE_LEASES * leaseDurationSeconds) {
    const what = `its Lease was renewed ${silentS} s ago, by this machine's clock, and lasts ${leaseDurationSeconds} s`;
    return [
      wrong(about, what, 'Do agents run, and do they reach the API server? kubectl get pods; sluice status'),
    ];
  }
  const leader = holder.slice(0, holder.lastIndexOf('/'));
  const labelled = pods
    .filter(({ metadata: { labels } }) => labels[ROLE_LABEL] === 'primary')
    .map(({ metadata: { name } }) => name);
  const stray = labelled.filter((name) => name !== leader);
  return stray.map((name) =>
    notice(
      `pod ${name}`,
      `is labelled as primary, and ${leader} leads`,
      'Its agent takes the label away when it runs. Until then, -rw leads to a pod that accepts no writes.',
    ),
  );
}

function judgeServices({ services, slices, pods }: NamespaceSnapshot): Finding[] {
  return services.flatMap((service) => {
    const { name } = service.metadata;
    const endpoints = slices
      .filter(({ metadata }) => metadata.labels['kubernetes.io/service-name'] === name)
      .flatMap((slice) => slice.endpoints ?? []);
    const isReached = endpoints.some(({ conditions }) => conditions.ready);
    if (isReached || service.spec.publishNotReadyAddresses) return [];
    const selected = pods.filter((pod) => isSelected(service, pod));
    const why =
      selected.length === 0
        ? 'no pod has the labels that it selects'
        : `of the pods that it selects (${selected.map(({ metadata }) => metadata.name).join(', ')}) none is ready`;
    return [wrong(`Service ${name}`, `leads to nobody: ${why}`, nextOf(service, selected.length > 0))];
  });
}

function isSelected({ spec }: Service, { metadata }: Pod): boolean {
  return Object.entries(spec.selector).every(([label, value]) => metadata.labels[label] === value);
}

function nextOf({ spec }: Service, hasPods: boolean): string {
  const role = spec.selector[ROLE_LABEL];
  if (role === undefined || hasPods)
    return 'What the pods wait for stands above, or is told by their GET /readiness.';
  return `An agent with label_pod: true labels its pod as ${role}: is there one, and may it patch its pod? kubectl logs`;
}

function judgeBudgets({ budgets }: NamespaceSnapshot): Finding[] {
  return budgets
    .filter(({ spec }) => spec.selector == null)
    .map(({ metadata }) =>
      wrong(
        `PodDisruptionBudget ${metadata.name}`,
        'selects no pods, and so spares nobody',
        'Give it a selector.',
      ),
    );
}
