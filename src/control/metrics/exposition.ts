/** Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4). */

/** What a page is served as. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Null: not known, so that there is no sample. */
export type Value = number | boolean | null;

export type Labels = Readonly<Record<string, string>>;

/** One value, or several that differ by their labels. */
export type Samples = Value | readonly (readonly [Labels, Value])[];

/** Counts by size, the first bound first. */
export interface Distribution {
  /** How many did not exceed each bound, smaller ones included. */
  readonly buckets: readonly (readonly [bound: number, count: number])[];
  readonly count: number;
  readonly sum: number;
}

/** Collects a page, family after family. Names are given without the prefix. */
export class Exposition {
  readonly #prefix: string;
  readonly #lines: string[] = [];

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** What goes up and down. */
  gauge(name: string, help: string, samples: Samples): void {
    this.#family(name, 'gauge', help, samples);
  }

  /** What only grows, until the process ends; the name gets `_total`. */
  counter(name: string, help: string, samples: Samples): void {
    this.#family(`${name}_total`, 'counter', help, samples);
  }

  histogram(name: string, help: string, samples: readonly (readonly [Labels, Distribution])[]): void {
    const whole = this.#head(name, 'histogram', help);
    for (const [labels, { buckets, count, sum }] of samples) {
      for (const [bound, counted] of buckets) {
        this.#lines.push(sample(`${whole}_bucket`, { ...labels, le: String(bound) }, counted));
      }
      this.#lines.push(sample(`${whole}_bucket`, { ...labels, le: '+Inf' }, count));
      this.#lines.push(sample(`${whole}_sum`, labels, sum), sample(`${whole}_count`, labels, count));
    }
  }

  /** The page so far. */
  get text(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  #family(name: string, type: string, help: string, samples: Samples): void {
    const list: readonly (readonly [Labels, Value])[] =
      typeof samples === 'object' && samples !== null ? samples : [[{}, samples]];
    const known = list.filter(([, value]) => value !== null);
    if (known.length === 0) return;
    const whole = this.#head(name, type, help);
    for (const [labels, value] of known) this.#lines.push(sample(whole, labels, Number(value)));
  }

  #head(name: string, type: string, help: string): string {
    const whole = `${this.#prefix}${name}`;
    this.#lines.push(`# HELP ${whole} ${help}`, `# TYPE ${whole} ${type}`);
    return whole;
  }
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeText(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
}

function escapeText(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}
