// The routing scenarios as the simulator takes them: scenarios/routing.json, read and checked whole. Called by the bench
// `route` and by tests; scenarios/README.md says what each field means.
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const positive = z.number().positive();
const notNegative = z.number().nonnegative();
const count = z.int().positive();
const names = z.array(z.string().min(1));

const model = z.strictObject({
  workMs: z.strictObject({ median: positive, sigma: notNegative }),
  inBytes: notNegative,
  outBytes: notNegative,
  loadMs: notNegative,
  memoryMb: positive,
});

const group = z.strictObject({
  name: z.string().min(1),
  count,
  speed: positive,
  slots: count,
  rttMs: z.tuple([notNegative, notNegative]).refine(([low, high]) => low <= high, 'low is above high'),
  mbit: positive,
  memoryMb: positive,
  models: names,
  disk: names,
});

const when = { atS: notNegative, group: z.string(), count };
const event = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('kill'), ...when }),
  z.strictObject({ type: z.literal('reset'), ...when }),
  z.strictObject({ type: z.literal('join'), ...when }),
  z.strictObject({ type: z.literal('slow'), ...when, speed: positive }),
  z.strictObject({ type: z.literal('link'), ...when, rttMs: notNegative, mbit: positive }),
]);

const interval = z.strictObject({ fromS: notNegative, toS: positive, rps: positive });

const scenario = z
  .strictObject({
    name: z.string().min(1),
    durationS: positive,
    entries: count,
    groups: z.array(group).min(1),
    models: z.record(z.string(), model),
    mix: z.record(z.string(), positive),
    arrivals: z.array(interval).min(1),
    events: z.array(event),
  })
  .superRefine((it, context) => {
    const refuse = (message: string): void => context.addIssue({ code: 'custom', message: `${it.name}: ${message}` });
    const shares = Object.values(it.mix).reduce((sum, share) => sum + share, 0);
    if (Math.abs(shares - 1) > 1e-6) refuse(`the shares of the mix add up to ${shares}`);
    for (const name of Object.keys(it.mix)) if (it.models[name] === undefined) refuse(`nothing is known of ${name}`);
    if (it.entries > (it.groups[0]?.count ?? 0)) refuse('the first group has fewer nodes than there are entries');
    for (const [index, { fromS, toS }] of it.arrivals.entries()) {
      if (fromS !== (it.arrivals[index - 1]?.toS ?? 0) || toS <= fromS) refuse(`interval ${index} leaves a gap`);
    }
    if (it.arrivals.at(-1)?.toS !== it.durationS) refuse('the arrivals end before or behind it');
    let atS = 0;
    for (const event of it.events) {
      const group = it.groups.find(({ name }) => name === event.group);
      if (group === undefined) refuse(`there is no group ${event.group}`);
      else if (event.type !== 'join' && event.count > group.count) refuse(`${event.group} is smaller than its event`);
      if (event.atS < atS) refuse('events are not in order');
      atS = event.atS;
    }
  });

const file = z.strictObject({ version: z.literal(1), scenarios: z.array(scenario).min(1) });

export type Scenario = z.infer<typeof scenario>;
export type ScenarioGroup = Scenario['groups'][number];
export type ScenarioEvent = Scenario['events'][number];

/** @throws ZodError that names what is wrong and where; SyntaxError for what isn't JSON */
export function parseScenarios(text: string): readonly Scenario[] {
  return file.parse(JSON.parse(text)).scenarios;
}

/** Those of scenarios/routing.json. */
export function readScenarios(): readonly Scenario[] {
  return parseScenarios(readFileSync(new URL('./scenarios/routing.json', import.meta.url), 'utf8'));
}

/** @throws RangeError for a name that no scenario has */
export function scenarioNamed(name: string): Scenario {
  const found = readScenarios().find((scenario) => scenario.name === name);
  if (found === undefined) throw new RangeError(`There is no scenario ${name}.`);
  return found;
}
