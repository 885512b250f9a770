/** Cycles in a graph whose nodes are numbers from 0. */

/** For each node where its edges lead to. */
export type Edges = readonly (readonly number[])[];

/**
 * The strongly connected components that contain a cycle, each a list of nodes (Tarjan's algorithm, without recursion:
 * histories are long).
 */
export function cyclicComponents(edges: Edges): number[][] {
  const count = edges.length;
  const index = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const onStack = new Uint8Array(count);
  const next = new Int32Array(count);
  const stack: number[] = [];
  const path: number[] = [];
  const found: number[][] = [];
  let visited = 0;
  const enter = (node: number): void => {
    index[node] = low[node] = visited++;
    onStack[node] = 1;
    stack.push(node);
    path.push(node);
  };
  const leave = (node: number): void => {
    path.pop();
    const above = path.at(-1);
    if (above !== undefined) low[above] = Math.min(low[above]!, low[node]!);
    if (low[node] !== index[node]) return;
    const component = stack.splice(stack.lastIndexOf(node));
    for (const member of component) onStack[member] = 0;
    if (component.length > 1 || edges[node]!.includes(node)) found.push(component);
  };
  for (let root = 0; root < count; root++) {
    if (index[root] === -1) enter(root);
    while (path.length > 0) {
      const node = path.at(-1)!;
      const target = edges[node]![next[node]!++];
      if (target === undefined) leave(node);
      else if (index[target] === -1) enter(target);
      else if (onStack[target] === 1) low[node] = Math.min(low[node]!, index[target]!);
    }
  }
  return found;
}

/** The shortest way between two nodes that stays within `allowed`, both ends included; null: there is none. */
export function shortestPath(
  edges: Edges,
  from: number,
  to: number,
  allowed: ReadonlySet<number>,
): number[] | null {
  const cameFrom = new Map<number, number>([[from, from]]);
  const queue = [from];
  for (let head = 0; head < queue.length; head++) {
    const node = queue[head]!;
    for (const target of edges[node]!) {
      if (!allowed.has(target) || (cameFrom.has(target) && target !== to)) continue;
      if (target === to) return wayBack(cameFrom, node, from).reverse().concat(to);
      cameFrom.set(target, node);
      queue.push(target);
    }
  }
  return null;
}

function wayBack(cameFrom: ReadonlyMap<number, number>, last: number, first: number): number[] {
  const way = [last];
  while (way.at(-1) !== first) way.push(cameFrom.get(way.at(-1)!)!);
  return way;
}
