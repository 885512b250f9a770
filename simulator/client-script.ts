/** How one model client spends its life: turns of work, moods, and its departure. */
import { CancelClient } from './cancel-client.js';
import { makeIdentity } from './client-identity.js';
import type { Ground } from './ground.js';
import { OFFENCES } from './hostile-client.js';
import { ModelClient } from './model-client.js';
import type { Random } from './random.js';

/** A client that has broken the protocol is closed within this time, or goes by itself. Ms. */
const OFFENCE_PATIENCE_MS = 20_000;

export class ClientScript {
  readonly client: ModelClient;
  private readonly ground: Ground;
  private readonly random: Random;
  private turnsLeft: number;
  private departing = false;

  constructor(ground: Ground, id: number) {
    this.ground = ground;
    this.random = ground.random.fork();
    this.turnsLeft = this.random.int(1, ground.plan.client.turnsMax);
    this.client = new ModelClient(ground, id, makeIdentity(ground.plan, this.random), () => this.settled());
  }

  start(): void {
    this.client.connect();
    const { plan, schedule } = this.ground;
    if (!this.random.chance(plan.client.departures)) return;
    const how = this.random.pick(['terminate', 'close', 'reset', 'mid-message'] as const);
    schedule.after(this.random.fraction() ** 2 * 1000, () => this.client.leave(how));
  }

  private settled(): void {
    const think = this.random.chance(0.5) ? 0 : this.random.fraction() * this.ground.plan.client.thinkMsMax;
    this.ground.schedule.after(think, () => this.turn());
  }

  private turn(): void {
    const { client, random, ground } = this;
    if (client.phase !== 'ready' || !client.settled || this.departing) return;
    if (this.turnsLeft <= 0 && !client.midway) return this.depart();
    this.turnsLeft -= 1;
    if (random.chance(ground.plan.client.hostility / 10)) return this.offend();
    if (random.chance(ground.plan.weather.stalls * 2)) client.stall(random.fraction() * 2000);
    client.ask();
    this.waitPatiently();
    if (random.chance(ground.plan.client.cancels)) this.cancelSoon();
  }

  /** Servers may have fallen silent: nobody waits for ever. */
  private waitPatiently(): void {
    const { patienceMs } = this.ground.plan.client;
    if (patienceMs === null) return;
    const { turnsLeft } = this;
    const how = this.random.pick(['reset', 'close'] as const);
    this.ground.schedule.after(patienceMs, () => {
      const isWaiting = this.client.phase === 'ready' && !this.client.settled;
      if (isWaiting && this.turnsLeft === turnsLeft) this.client.leave(how);
    });
  }

  private cancelSoon(): void {
    this.ground.schedule.after(this.random.fraction() ** 2 * 150, () => {
      const key = this.client.cancelKey;
      if (this.client.phase !== 'ready' || key === null) return;
      this.ground.ledger.cancelSent(this.client.id);
      new CancelClient(this.ground, this.client.id).connect(key);
    });
  }

  private offend(): void {
    const { client, random, ground } = this;
    const offence = random.pick(OFFENCES);
    client.misbehave(offence.bytes(random));
    ground.schedule.after(offence.fatal ? OFFENCE_PATIENCE_MS : random.fraction() * 2000, () => {
      if (client.phase === 'gone') return;
      if (offence.fatal) ground.ledger.fail(`${client.label} broke the protocol and was not closed`);
      client.leave('reset');
    });
  }

  private depart(): void {
    const { client, random } = this;
    this.departing = true;
    if (random.chance(0.3)) client.halfClose();
    else if (random.chance(0.2)) {
      // The answers to its last requests are of no interest to it.
      client.ask();
      client.leave('terminate');
    } else
      client.leave(
        random.weighted([
          [5, 'terminate'],
          [1, 'close'],
          [1, 'reset'],
          [1, 'mid-message'],
        ]),
      );
  }
}
