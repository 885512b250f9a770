/** What an operator does to the gateway while clients work, and what must hold meanwhile. */
import type { CommandOutcome, GatewayCommand } from '../src/core/command.js';
import type { Gateway } from '../src/core/gateway.js';
import type { Ground } from './ground.js';
import type { ModelServer } from './model-server.js';
import type { OperatorPlan } from './plan.js';

export class OperatorScript {
  private readonly ground: Ground;
  private readonly gateway: Gateway;
  private readonly server: ModelServer;
  /** Commands that are not answered. */
  private readonly pending = new Set<GatewayCommand>();
  private hasResumed = false;

  constructor(ground: Ground, gateway: Gateway, server: ModelServer) {
    this.ground = ground;
    this.gateway = gateway;
    this.server = server;
  }

  carryOut(plan: OperatorPlan): void {
    const { database } = plan;
    switch (plan.kind) {
      case 'reconnect':
        return this.reconnect(database);
      case 'pause':
        this.ask({ kind: 'pause', database }, () => this.paused(plan));
        return this.later(plan.forMs, () => this.resume(database));
      case 'suspend':
        this.ask({ kind: 'suspend' });
        return this.later(plan.forMs, () => this.resume(null));
      case 'kill':
        this.ground.ledger.killing = true;
        this.ask({ kind: 'kill', database }, () => this.paused(plan));
        return this.later(plan.forMs, () => this.resume(database));
      case 'disable':
        if (database === null) return;
        this.ground.ledger.killing = true;
        this.ask({ kind: 'disable', database });
        return this.later(plan.forMs, () => this.ask({ kind: 'enable', database }));
    }
  }

  /** Everybody has gone: nothing may be waited for any more. */
  checkRest(): void {
    for (const { kind } of this.pending) this.ground.ledger.fail(`${kind} was never answered`);
  }

  /** The gateway ends in the way that is kindest to its clients. */
  drain(deadlineMs: number): void {
    this.ground.ledger.draining = { until: this.ground.schedule.now + deadlineMs };
    this.ask({ kind: 'drain', until: 'transactions', deadlineMs });
  }

  private reconnect(database: string | null): void {
    this.ask({ kind: 'reconnect', database });
    this.ask({ kind: 'waitClose', database }, () =>
      this.ground.ledger.note('RECONNECT has replaced all server connections'),
    );
  }

  /** PAUSE is answered: no server connection is left, and none may be made. */
  private paused({ database }: OperatorPlan): void {
    // RESUME ends the waiting for a PAUSE.
    if (this.hasResumed) return;
    this.ground.ledger.note('a database is paused');
    this.server.forbid(database);
  }

  private resume(database: string | null): void {
    this.hasResumed = true;
    this.server.allow();
    this.ask({ kind: 'resume', database });
  }

  private later(delayMs: number, run: () => void): void {
    this.ground.schedule.after(delayMs, () => {
      if (!this.ground.ledger.shuttingDown) run();
    });
  }

  private ask(command: GatewayCommand, then: () => void = () => {}): void {
    const { ledger } = this.ground;
    ledger.trace(() => `operator asks: ${JSON.stringify(command)}`);
    this.pending.add(command);
    this.gateway.execute(command, (outcome: CommandOutcome) => {
      ledger.trace(() => `operator is answered: ${command.kind} ${outcome?.message ?? 'done'}`);
      if (!this.pending.delete(command)) ledger.fail(`${command.kind} was answered twice`);
      if (outcome === null) then();
    });
  }
}
