// One scenario under one policy: a world is built, its events happen, its requests arrive, and what became of them is
// counted. Called by the bench `route` and by tests.

import { policyNamed } from '../../node/scheduler/policies.ts';
import type { RoutingPolicy } from '../../node/scheduler/policy.ts';
import { type Arrival, arrivalsOf } from './arrivals.ts';
import { Draws } from './draws.ts';
import { GroupState } from './happenings.ts';
import type { Scenario, ScenarioGroup } from './scenarios.ts';
import { Latencies, type Summary } from './statistics.ts';
import { type Outcome, type SimNodeSpec, World } from './world.ts';

/** The policy that knows every queue, service time and link, but not the future. */
export const ORACLE = 'oracle';

export interface Experiment extends Summary {
  /** Simulated time over real time. */
  readonly speedup: number;
  /** Failed requests by error code. */
  readonly codes: ReadonlyMap<string, number>;
}

/** Longest wait for the last answers, in simulated time: longer than any request may take. */
const END_MS = 700_000;

export interface ExperimentOptions {
  /** No requests arrive from there on. @default the scenario's end */
  readonly untilS?: number;
  /** What became of each request. */
  readonly onOutcome?: (arrival: Arrival, outcome: Outcome) => void;
  /** Gets the world before anything happens in it. */
  readonly watch?: (world: World) => void;
}

/** @param policy a name of POLICY_NAMES, or {@link ORACLE} */
export async function runScenario(
  scenario: Scenario,
  seed: number,
  policy: string,
  options: ExperimentOptions = {},
): Promise<Experiment> {
  const begunMs = performance.now();
  const { world, entries, groups } = worldOf(scenario, seed, policy);
  options.watch?.(world);
  const latencies = new Latencies();
  const codes = new Map<string, number>();
  happen(world, scenario, groups, seed);

  let waiting = 0;
  let arriving = true;
  const arrivals = arrivalsOf(scenario, seed);
  const untilMs = (options.untilS ?? scenario.durationS) * 1_000;
  const next = (): void => {
    const { value: arrival } = arrivals.next();
    if (arrival === undefined || arrival.atMs >= untilMs) {
      arriving = false;
      return;
    }
    world.clock.after(arrival.atMs - world.clock.now(), () => {
      next();
      waiting++;
      void world.submit(entries[arrival.entry] as string, arrival.model, arrival.workMs).then((outcome) => {
        waiting--;
        options.onOutcome?.(arrival, outcome);
        latencies.note(outcome.ok ? outcome.latencyMs : undefined);
        if (!outcome.ok) codes.set(outcome.code ?? '?', (codes.get(outcome.code ?? '?') ?? 0) + 1);
      });
    });
  };
  next();
  await world.clock.run(untilMs);
  while ((arriving || waiting > 0) && world.clock.now() < untilMs + END_MS) {
    await world.clock.run(world.clock.now() + 1_000);
  }
  for (; waiting > 0; waiting--) latencies.note(undefined);
  return { ...latencies.summary(), codes, speedup: world.clock.now() / (performance.now() - begunMs) };
}

interface Built {
  readonly world: World;
  /** Node ids. */
  readonly entries: readonly string[];
  readonly groups: ReadonlyMap<string, GroupState>;
}

function worldOf(scenario: Scenario, seed: number, policy: string): Built {
  const world = new World({
    seed,
    models: Object.entries(scenario.models).map(([id, model]) => ({ id, ...model })),
    policy: (entry) => (policy === ORACLE ? world.oracle(entry) : publishedOrWeft(policy)),
    // Only Weft hedges: the others are compared as they were published, the oracle needs no second try.
    hedgeShare: policy === 'weft' ? undefined : 0,
    // Open loop: whoever queues for long pays for it with its latencies, not with refusals at the entry.
    inFlightMax: Number.POSITIVE_INFINITY,
  });
  const entries: string[] = [];
  const groups = new Map<string, GroupState>();
  for (const [index, group] of scenario.groups.entries()) {
    const nodes = Array.from({ length: group.count }, (_, number) => {
      const spec = specOf(scenario, group, number);
      if (index > 0 || number >= scenario.entries) return world.addNode(spec);
      const entry = world.addEntry(spec);
      entries.push(entry);
      return entry;
    });
    groups.set(group.name, new GroupState(group, nodes));
  }
  return { world, entries, groups };
}

/** @throws RangeError for a name that no policy has */
function publishedOrWeft(name: string): RoutingPolicy {
  const policy = policyNamed(name);
  if (policy === undefined) throw new RangeError(`There is no policy ${name}.`);
  return policy;
}

function specOf({ models }: Scenario, group: ScenarioGroup, number: number): SimNodeSpec {
  const { name, speed, slots, rttMs, mbit, memoryMb, disk } = group;
  // Groups name models that this scenario may have no use for.
  const known = (id: string): boolean => models[id] !== undefined;
  const loaded = group.models.filter(known);
  return { name: `${name}-${number}`, speed, slots, rttMs, mbit, memoryMb, loaded, disk: disk.filter(known) };
}

function happen(world: World, scenario: Scenario, groups: ReadonlyMap<string, GroupState>, seed: number): void {
  const draws = new Draws(seed, 'events');
  for (const event of scenario.events) {
    world.clock.after(event.atS * 1_000, () => {
      const group = scenario.groups.find(({ name }) => name === event.group);
      const state = groups.get(event.group);
      if (group === undefined || state === undefined) return;
      if (event.type === 'join') {
        for (let number = 0; number < event.count; number++) {
          state.joined(world.addNode(specOf(scenario, group, event.atS * 1_000 + number)));
        }
        return;
      }
      for (const node of state.met(event, draws)) {
        if (event.type === 'kill') world.kill(node);
        else if (event.type === 'reset') world.reset(node);
        else if (event.type === 'slow') world.slow(node, event.speed);
        else world.link(node, { rttMs: event.rttMs, mbit: event.mbit });
      }
    });
  }
}
