import { describe, expect, it } from 'vitest';
import { parseScenarios, readScenarios, type Scenario, scenarioNamed } from './scenarios.ts';

describe('the scenarios', () => {
  it('are all read, each once', () => {
    const names = readScenarios().map(({ name }) => name);
    expect(names).toHaveLength(14);
    expect(new Set(names).size).toBe(14);
  });

  it('says which name it does not know', () => {
    expect(() => scenarioNamed('nowhere')).toThrow('There is no scenario nowhere.');
  });

  const changed = (change: (scenario: Record<string, unknown>) => void): string => {
    const scenario = structuredClone(scenarioNamed('churn')) as Scenario & Record<string, unknown>;
    change(scenario);
    return JSON.stringify({ version: 1, scenarios: [scenario] });
  };

  it('takes what nobody has changed', () => {
    expect(parseScenarios(changed(() => undefined))).toEqual([scenarioNamed('churn')]);
  });

  it.each<[string, (scenario: Record<string, unknown>) => void, string]>([
    ['a field that nobody knows', (it) => Object.assign(it, { rsp: 1 }), 'rsp'],
    ['shares that are not a whole', (it) => Object.assign(it, { mix: { embed: 0.9 } }), 'add up to 0.9'],
    ['a model that nothing is known of', (it) => Object.assign(it, { mix: { other: 1 } }), 'nothing is known of other'],
    ['more entries than nodes', (it) => Object.assign(it, { entries: 2 }), 'fewer nodes than there are entries'],
    [
      'a gap in the arrivals',
      (it) => Object.assign(it, { arrivals: [{ fromS: 1, toS: 300, rps: 1 }] }),
      'leaves a gap',
    ],
    [
      'arrivals that end early',
      (it) => Object.assign(it, { arrivals: [{ fromS: 0, toS: 9, rps: 1 }] }),
      'arrivals end',
    ],
    [
      'an event of nobody',
      (it) => Object.assign(it, { events: [{ atS: 1, type: 'kill', group: 'moon', count: 1 }] }),
      'there is no group moon',
    ],
    [
      'an event of an unknown kind',
      (it) => Object.assign(it, { events: [{ atS: 1, type: 'melt', group: 'cloud', count: 1 }] }),
      'type',
    ],
  ])('refuses %s', (_what, change, message) => {
    expect(() => parseScenarios(changed(change))).toThrow(message);
  });
});
