/** What is answered by HTTP. Everything but /metrics is JSON; an error says what to do. */
import { Hono } from 'hono';
import { EXPOSITION_TYPE } from '../metrics/exposition.js';
import { GatewayMetrics } from '../metrics/gateway-metrics.js';
import type { Operator } from '../operator.js';
import { checkToken, refusalOf } from './bearer-token.js';
import { isAlive, readHealth, readReadiness } from './health.js';

const PATHS = 'GET /liveness, GET /readiness, GET /health, GET /metrics, POST /reload';

/** The routes for one gateway. `http_token_file` is looked up at each request, since a reload may change it. */
export function makeRoutes(operator: Operator): Hono {
  const { logger } = operator.log;
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    context.header('Cache-Control', 'no-store');
  });
  app.get('/liveness', async (context) => {
    const alive = await isAlive(operator);
    return context.json({ alive }, alive ? 200 : 503);
  });
  app.get('/readiness', async (context) => {
    const readiness = await readReadiness(operator);
    return context.json(readiness, readiness.ready ? 200 : 503);
  });
  app.get('/health', async (context) => {
    const health = await readHealth(operator);
    return context.json(health, health.ready ? 200 : 503);
  });
  const metrics = new GatewayMetrics(operator);
  app.get('/metrics', async (context) => {
    context.header('Content-Type', EXPOSITION_TYPE);
    return context.body(await metrics.page());
  });
  app.post('/reload', async (context) => {
    const { http_token_file: file } = operator.gateway.config.values;
    const refusal = refusalOf(await checkToken(file, context.req.header('authorization')));
    if (refusal !== null) {
      if (refusal.status === 401) context.header('WWW-Authenticate', 'Bearer');
      logger.warn(`POST /reload: refused, ${refusal.error}`);
      return context.json({ error: refusal.error, hint: refusal.hint }, refusal.status);
    }
    const { done, problems } = await operator.reload();
    if (done) {
      logger.info('POST /reload: configuration reloaded');
      return context.json({ reloaded: true });
    }
    logger.error('POST /reload: the configuration was not reloaded; everything stays as it was');
    const hint = 'Nothing has changed. Put the problems right and try again.';
    return context.json({ reloaded: false, error: 'the configuration has mistakes', problems, hint }, 422);
  });
  app.notFound((context) =>
    context.json({ error: 'there is nothing here', hint: `There are: ${PATHS}.` }, 404),
  );
  app.onError((error, context) => {
    logger.error(`${context.req.method} ${context.req.path}: ${error.message}`);
    return context.json({ error: 'internal error', hint: 'The log says more.' }, 500);
  });
  return app;
}
