// The requests of a scenario: when each arrives, at which entry, for which model, and how much work it is. Drawn from the
// seed alone, one by one, so that every policy meets the same requests. Called by the experiment.
import { Draws } from './draws.ts';
import type { Scenario } from './scenarios.ts';

export interface Arrival {
  readonly atMs: number;
  /** Which entry node, from 0. */
  readonly entry: number;
  readonly model: string;
  /** Milliseconds that it takes at speed 1. */
  readonly workMs: number;
}

type Workload = Pick<Scenario, 'arrivals' | 'entries' | 'mix' | 'models'>;

/** In order of time: Poisson in each interval; entry, model and work of each drawn for itself. */
export function* arrivalsOf({ arrivals, entries, mix, models }: Workload, seed: number): Generator<Arrival, void> {
  const times = new Draws(seed, 'arrivals');
  const kinds = new Draws(seed, 'kinds');
  const works = new Draws(seed, 'work');
  const shares = cumulative(mix);
  for (const { fromS, toS, rps } of arrivals) {
    const untilMs = toS * 1_000;
    // A Poisson process has no memory: what was drawn past an interval's end is drawn anew from there.
    for (let atMs = fromS * 1_000; ; ) {
      atMs += times.exponential(1_000 / rps);
      if (atMs >= untilMs) break;
      const entry = kinds.between(0, entries - 1);
      const drawn = kinds.next();
      const model = (shares.find(({ upTo }) => drawn < upTo) ?? shares.at(-1))?.model ?? '';
      const { median, sigma } = models[model]?.workMs ?? { median: 0, sigma: 0 };
      yield { atMs, entry, model, workMs: works.lognormal(median, sigma) };
    }
  }
}

function cumulative(
  mix: Readonly<Record<string, number>>,
): readonly { readonly model: string; readonly upTo: number }[] {
  let upTo = 0;
  return Object.entries(mix).map(([model, share]) => {
    upTo += share;
    return { model, upTo };
  });
}
