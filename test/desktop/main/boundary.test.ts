// Electron comes in at two places only; everything else of the app runs without it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'rolldown/utils';
import { expect, it } from 'vitest';
import { ROOT } from '../../../scripts/desktop-electron.ts';

const files = ['main', 'preload', 'shared'].flatMap((folder) =>
  readdirSync(join(ROOT, 'desktop', folder)).map((name) => `${folder}/${name}`),
);
const importsOf = (name: string): readonly string[] => {
  const { module } = parseSync(name, readFileSync(join(ROOT, 'desktop', name), 'utf8'));
  return module.staticImports.map(({ moduleRequest }) => moduleRequest.value);
};

it('imports Electron at the boundary and in the preload script, and nowhere else', () => {
  const users = files.filter((name) => importsOf(name).some((from) => /^electron(-updater)?$/.test(from)));
  expect(users.sort()).toEqual(['main/electron.ts', 'preload/preload.ts']);
});

it('has one file that takes the boundary in', () => {
  expect(files.filter((name) => importsOf(name).includes('./electron.ts'))).toEqual(['main/main.ts']);
});
