/** docs/protocol-traps.md, made from the catalogue so that the two can't disagree. */
import { TRAPS, type Trap } from './traps.js';

const INTRODUCTION = `# The traps of the protocol

Whoever stands between PostgreSQL's clients and servers has to mind these ${TRAPS.length} things. Each was a defect of some
pooler once. The numbers are fixed; the list is \`simulator/traps.ts\`, and this page is made from it
(\`npm run simulate -- --traps\`).

What shows that the gateway minds them:

- **situations** that simulated runs must come into and hold: model clients compare every message with what a direct
  session would have answered. \`test/simulator-traps.test.ts\` fails when a situation isn't reached;
- **deliberate defects**, switched on in the core, that the simulator must notice (\`test/simulator.test.ts\`);
- **tests** of what isn't simulated: real sockets, real TLS, real servers.
`;

/** The whole page. */
export function trapsMarkdown(): string {
  return `${INTRODUCTION}\n${TRAPS.map(section).join('\n')}`;
}

function section({ number, title, situations = [], faults = [], tests = [], open }: Trap): string {
  const lines = [`## ${number}. ${title}`, ''];
  for (const situation of situations) lines.push(`- situation: ${situation}`);
  for (const fault of faults) lines.push(`- deliberate defect: ${fault}`);
  for (const { file, words } of tests) lines.push(`- test: \`${file}\`, "${words}"`);
  if (open !== undefined) lines.push(`- open: ${open}`);
  return `${lines.join('\n')}\n`;
}
