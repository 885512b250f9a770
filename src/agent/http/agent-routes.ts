/** What an agent answers by HTTP: paths and meaning are Patroni's where it has them. Everything but /metrics is JSON. */
import { type Context, Hono } from 'hono';
import type { Logger } from 'pino';
import * as z from 'zod';
import { HISTORY, readHistory } from '../../cluster/history.js';
import type { AgentConfig } from '../../config/agent-config.js';
import { checkToken, refusalOf } from '../../control/http/bearer-token.js';
import { EXPOSITION_TYPE } from '../../control/metrics/exposition.js';
import type { Store } from '../../stores/store.js';
import { askFailover, askSwitchover, setPaused, type Wish, WishRefused } from '../../stores/wishes.js';
import { judgeCluster } from '../cluster-status.js';
import type { NodeAgent } from '../node-agent.js';
import { agentMetrics } from './agent-metrics.js';
import { nodeHealth, parseLag } from './node-health.js';

/** What the routes speak of. */
export interface RoutedAgent {
  readonly agent: NodeAgent;
  readonly config: AgentConfig;
  readonly store: Store;
  readonly logger: Logger;
}

const PATHS =
  'GET /primary, /replica, /read-only, /sync, /health, /liveness, /readiness, /metrics, /cluster, /history; ' +
  'POST /switchover, /failover, /pause, /resume, /reinit';

const SWITCHOVER_BODY = z.strictObject({ to: z.string().nullish() });
const FAILOVER_BODY = z.strictObject({ to: z.string(), acceptLoss: z.literal(true) });
const EMPTY_BODY = z.strictObject({});

/** The routes for one agent. */
export function agentRoutes(routed: RoutedAgent): Hono {
  const { logger } = routed;
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    context.header('Cache-Control', 'no-store');
  });
  addQuestions(app, routed);
  addWishes(app, routed);
  app.notFound((context) =>
    context.json({ error: 'there is nothing here', hint: `There are: ${PATHS}.` }, 404),
  );
  app.onError((error, context) => {
    logger.error(`${context.req.method} ${context.req.path}: ${error.message}`);
    return context.json({ error: 'internal error', hint: 'The log says more.' }, 500);
  });
  return app;
}

function addQuestions(app: Hono, { agent, config, store }: RoutedAgent): void {
  const answer = (
    path: string,
    isRight: (health: ReturnType<typeof nodeHealth>, context: Context) => boolean,
  ) =>
    app.get(path, (context) => {
      const health = nodeHealth(agent);
      return context.json(health, isRight(health, context) ? 200 : 503);
    });
  const isPrimary = ({ role }: { role: string }) => role === 'primary';
  const isReplica = ({ role, lagBytes }: ReturnType<typeof nodeHealth>, context: Context) => {
    const allowed = parseLag(context.req.query('lag'));
    return role === 'replica' && (allowed === null || (lagBytes !== null && lagBytes <= allowed));
  };
  for (const path of ['/', '/primary', '/leader', '/read-write']) answer(path, isPrimary);
  answer('/replica', isReplica);
  answer('/read-only', (health, context) => isPrimary(health) || isReplica(health, context));
  for (const path of ['/sync', '/synchronous']) {
    answer(path, ({ role, isSynchronous }) => role === 'replica' && isSynchronous);
  }
  answer('/health', ({ isRunning }) => isRunning);
  answer('/readiness', ({ role }) => role !== 'none');
  answer('/liveness', ({ isAlive }) => isAlive);
  app.get('/metrics', (context) =>
    context.body(agentMetrics(agent, config), 200, { 'Content-Type': EXPOSITION_TYPE }),
  );
  app.get('/cluster', (context) => {
    if (agent.view === null) return context.json({ error: 'the store has not been seen yet' }, 503);
    return context.json(judgeCluster(config.cluster.name, store.description, agent.view));
  });
  app.get('/history', (context) => context.json(readHistory(agent.view?.values.get(HISTORY)?.text)));
}

function addWishes(app: Hono, routed: RoutedAgent): void {
  const { agent, store } = routed;
  const wish = <Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    act: (body: z.output<Schema>) => Promise<Wish | null>,
  ) => app.post(path, (context) => obey(context, routed, schema, act));
  wish('/switchover', SWITCHOVER_BODY, ({ to }) => askSwitchover(store, to ?? null));
  wish('/failover', FAILOVER_BODY, ({ to }) => askFailover(store, to));
  wish('/pause', EMPTY_BODY, () => setPaused(store, true));
  wish('/resume', EMPTY_BODY, () => setPaused(store, false));
  wish('/reinit', EMPTY_BODY, async () => {
    refuseReinit(agent);
    agent.tell({ kind: 'reinit' });
    if (agent.state.name !== 'cloning') {
      throw new WishRefused(
        'the data may still be needed by others, or the cluster is paused',
        'Try again when "sluice status" shows nothing wrong but this node.',
      );
    }
    return null;
  });
}

function refuseReinit({ state: { name, view, settings } }: NodeAgent): void {
  if (!['following', 'standing', 'fenced'].includes(name)) {
    throw new WishRefused(
      `${settings.node} is ${name}`,
      'Only a node that follows, or that does not run, can be made anew.',
    );
  }
  if (view?.leader == null) throw new WishRefused('nobody leads', 'There is no primary to clone from.');
}

async function obey<Schema extends z.ZodType>(
  context: Context,
  { config, logger }: RoutedAgent,
  schema: Schema,
  act: (body: z.output<Schema>) => Promise<Wish | null>,
): Promise<Response> {
  const name = `POST ${context.req.path}`;
  const refusal = refusalOf(await checkToken(config.httpTokenFile, context.req.header('authorization')));
  if (refusal !== null) {
    if (refusal.status === 401) context.header('WWW-Authenticate', 'Bearer');
    logger.warn(`${name}: refused, ${refusal.error}`);
    return context.json({ error: refusal.error, hint: refusal.hint }, refusal.status);
  }
  const text = await context.req.text();
  const body = schema.safeParse(text.trim() === '' ? {} : jsonOf(text));
  if (!body.success) {
    const hint =
      'POST /switchover {"to": "db2"}, POST /failover {"to": "db2", "acceptLoss": true}, the others without a body.';
    return context.json({ error: 'the body is not what this takes', hint }, 400);
  }
  try {
    const wish = await act(body.data);
    logger.info(`${name}: ${text.trim() === '' ? 'done' : text.trim().slice(0, 200)}`);
    return context.json({ accepted: true, control: wish?.control ?? null }, 202);
  } catch (error) {
    if ((error as Error).name === 'StoreError') {
      logger.warn(`${name}: the store can't be asked: ${(error as Error).message}`);
      return context.json(
        { error: `the store can't be asked: ${(error as Error).message}`, hint: 'Try again.' },
        503,
      );
    }
    if (!(error instanceof WishRefused)) throw error;
    logger.warn(`${name}: refused, ${error.message}`);
    return context.json({ error: error.message, hint: error.advice }, 409);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
