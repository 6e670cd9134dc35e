// Layer `settings`: settings.json can be read, and every value in it is one.
import { type Check, failed, ok } from './check.ts';
import { QUICK_MS_MAX } from './limits.ts';

/** @param problem what is wrong with the file; undefined where nothing is */
export function settingsChecks(problem: () => string | undefined): readonly Check[] {
  const name = 'settings.json';
  return [
    {
      layer: 'settings',
      name,
      deadlineMs: QUICK_MS_MAX,
      overdueRemedy: 'Try again.',
      run: async () => {
        const found = problem();
        if (found === undefined) return [ok(name, 'sound')];
        return [
          failed(name, found, 'Correct it; `weft config` shows the settings, docs/configuration.md explains them.'),
        ];
      },
    },
  ];
}
