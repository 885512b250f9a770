/** Values that say everything, by form. */
const FRONT = `
namespace: db
image: registry.example.org:5000/sluice-gateway:0.2.0
pull_secrets: [registry]
gateway:
  replicas: 4
  resources: { cpu: 1, memory: 1Gi }
  settings: { default_pool_size: 40, drain_timeout: 90s }
  service: LoadBalancer
  service_annotations: { example.org/internal: "true" }
monitoring: true
autoscaling: { min: 3, max: 6, clients: 800 }
certificates: { issuer: authority, issuer_kind: ClusterIssuer, names: [db.example.org] }
`;

export const FULL_VALUES = {
  cluster: `form: cluster${FRONT}node_image: registry.example.org/sluice-node:0.2.0
cluster:
  nodes: 5
  quorum: 2
  storage: 100Gi
  storage_class: fast
  resources: { cpu: 2, memory: 4Gi }
  postgresql: { max_connections: 300 }
`,
  'two-tier': `form: two-tier${FRONT}databases: { "*": { nodes: "a:5432,b:5432" } }\n`,
} as const;
