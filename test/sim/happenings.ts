// Whom a scenario's events meet. A node that was changed is the first to be changed back: `slow` to the group's own speed
// ends what an earlier `slow` began, on the same nodes. Called by the experiment.
import type { Draws } from './draws.ts';
import type { ScenarioEvent, ScenarioGroup } from './scenarios.ts';

/** The nodes of one group, as far as events have changed them. */
export class GroupState {
  readonly #group: ScenarioGroup;
  readonly #nodes: string[];
  readonly #changed = { slow: new Set<string>(), link: new Set<string>() };

  constructor(group: ScenarioGroup, nodes: readonly string[]) {
    this.#group = group;
    this.#nodes = [...nodes];
  }

  joined(node: string): void {
    this.#nodes.push(node);
  }

  /** The nodes that an event (but `join`) meets, chosen by the draws; fewer where fewer are left. */
  met(event: Exclude<ScenarioEvent, { type: 'join' }>, draws: Draws): readonly string[] {
    if (event.type === 'kill' || event.type === 'reset') {
      const gone = draws.sample(this.#nodes, event.count);
      for (const node of gone) this.#nodes.splice(this.#nodes.indexOf(node), 1);
      return gone;
    }
    const { speed, mbit } = this.#group;
    const back = event.type === 'slow' ? event.speed === speed : event.rttMs === 0 && event.mbit === mbit;
    const changed = this.#changed[event.type];
    const met = draws.sample(
      this.#nodes.filter((node) => changed.has(node) === back),
      event.count,
    );
    for (const node of met) {
      if (back) changed.delete(node);
      else changed.add(node);
    }
    return met;
  }
}
