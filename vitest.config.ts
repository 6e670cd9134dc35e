// Test projects: `layering` is part of `npm run check`; `unit` uses parts in one process; `e2e` starts real processes, a few at
// a time; `ui` operates the pages of real nodes in a browser; `chaos` is the long form of the kill tests and runs by
// `npm run test:chaos` only.
import { defineConfig } from 'vitest/config';

const chaos = process.argv.includes('chaos');

// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'layering', include: ['test/layering.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'unit',
          include: ['test/{protocol,models,node,desktop,sim,support}/**/*.test.{ts,tsx}'],
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          pool: 'forks',
          // Apart from the unit tests: real processes should have the machine to themselves.
          sequence: { groupOrder: 1 },
          maxWorkers: 1,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'ui',
          include: ['test/ui/**/*.test.ts'],
          pool: 'forks',
          // Real daemons and a browser.
          sequence: { groupOrder: 2 },
          maxWorkers: 1,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      ...(chaos
        ? [
            {
              test: {
                name: 'chaos',
                include: ['test/chaos/**/*.test.ts'],
                pool: 'forks' as const,
                sequence: { groupOrder: 3 },
                maxWorkers: 1,
                testTimeout: 3_600_000,
                hookTimeout: 180_000,
              },
            },
          ]
        : []),
    ],
  },
});
