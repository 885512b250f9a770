/** How an API server of Kubernetes is reached from outside of pods: the same keys wherever one is asked. */
import { name } from '../value-types.js';
import { key } from './entry.js';

const SERVER = 'a URL like https://10.96.0.1:443';

export const KUBERNETES_API_KEYS = {
  server: key(
    name(SERVER)
      .regex(/^https?:\/\/[^/@\s]+\/?$/, { error: SERVER })
      .optional(),
    'URL',
    'The API server, for programs outside of pods. A pod knows its own.',
  ),
  token_file: key(
    name('a file').optional(),
    'file',
    "The file with the token; it is read again while the program runs. Without it: the pod's service account.",
  ),
  ca_file: key(
    name('a file').optional(),
    'file',
    "Whose certificate the API server has to show (PEM); read again, too. Without it: the pod's service account says it.",
  ),
};
