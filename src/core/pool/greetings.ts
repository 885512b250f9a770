/** What a pool's new clients are told of parameters: values that a server has accepted, in its own spelling. */
import type { GatewayContext } from '../context.js';
import type { ParameterSet } from '../parameters.js';

/** Sets of startup values that are remembered. */
const GREETINGS_MAX = 1000;

export class Greetings {
  /** Reported parameters of a fresh server connection; null until there was one. */
  defaults: ParameterSet | null = null;
  private readonly context: GatewayContext;
  private readonly known = new Map<ParameterSet, ParameterSet>();

  constructor(context: GatewayContext) {
    this.context = context;
  }

  /** For a client that has asked for these values; undefined: a server has to be asked. */
  find(asked: ParameterSet): ParameterSet | undefined {
    return this.known.get(asked);
  }

  /** What such a client expects: a fresh connection's values, but for those that its startup packet names. */
  expected(asked: ParameterSet, actual: ParameterSet): ParameterSet {
    const { parameterSets } = this.context;
    return this.known.get(asked) ?? parameterSets.overlay(this.defaults ?? actual, asked.values);
  }

  /** A server has accepted what a client asked for. */
  learn(asked: ParameterSet, accepted: ParameterSet): void {
    if (this.known.size >= GREETINGS_MAX) this.known.clear();
    this.known.set(asked, accepted);
  }

  /** Another server is asked from now on. */
  forget(): void {
    this.defaults = null;
    this.known.clear();
  }
}
