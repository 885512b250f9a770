/** An agent's life in a process of its own, so that it can be stopped and killed: a primary with a permit of so many ms. */
import type { PostgresSettings } from '../../src/agent/postgres/postgres-side.js';
import { NodeWorld, TestNode } from '../harness/postgres-node.js';

const [settings, permitMs] = process.argv.slice(2);
const node = await TestNode.adopt(JSON.parse(settings!) as PostgresSettings, new NodeWorld());
await node.restart();
await node.takeOver(1, 0);
node.permit(Number(permitMs));
console.log(Number(process.hrtime.bigint()) / 1e6 + Number(permitMs));
setInterval(() => {}, 1000);
