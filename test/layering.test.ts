// The layers of docs/architecture.md, checked on every import of every source file.
import { describe, expect, it } from 'vitest';
import { LAYERS, readSources, violations } from './support/layering.ts';

const ROOT = new URL('../', import.meta.url);
const FOLDERS = ['protocol', 'models', 'node', 'desktop'];

/** What the checker says of files that hold nothing but this. */
const judged = (files: Readonly<Record<string, string>>): string[] => violations(new Map(Object.entries(files)));

describe('this project', () => {
  const sources = readSources(ROOT, FOLDERS);

  it('keeps its layers', () => {
    expect(sources.size).toBeGreaterThan(20);
    expect(violations(sources)).toEqual([]);
  });
});

describe('the checker', () => {
  it.each<[string, string, string]>([
    ['a layer that may not', 'protocol/a.ts', `import { b } from '../node/core/b.ts';`],
    ['a sibling', 'node/mesh/a.ts', `import { b } from '../trust/b.ts';`],
    ['a type of a sibling', 'node/gateway/a.ts', `import type { B } from '../dispatch/b.ts';`],
    ['a re-export', 'node/core/a.ts', `export { b } from '../mesh/b.ts';`],
    ['a re-export of everything', 'models/a.ts', `export * from '../node/core/b.ts';`],
    ['a re-exported type', 'models/a.ts', `export type { B } from '../node/core/b.ts';`],
    ['a dynamic import', 'node/config/a.ts', `const b = await import('../../models/b.ts');`],
    ['a dynamic import that a run decides', 'node/config/a.ts', `const b = (name: string) => import(name);`],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the sample's own
    ['a template that a run decides', 'node/config/a.ts', 'const b = (name: string) => import(`../app/${name}.ts`);'],
    ['a type by import()', 'node/config/a.ts', `export type B = import('../../models/b.ts').B;`],
    ['a side effect', 'node/core/a.ts', `import '../app/b.ts';`],
    ['a way around by the root', 'node/mesh/a.ts', `import { b } from '../../node/trust/b.ts';`],
    ['the package by its own name', 'node/mesh/a.ts', `import { b } from '@weft-mesh/weft';`],
    ['an absolute path', 'node/mesh/a.ts', `import { b } from '/node/trust/b.ts';`],
    ['code of models in the scheduler', 'node/scheduler/a.ts', `import { b } from '../../models/onnx/b.ts';`],
    ['an inline type that still loads', 'node/scheduler/a.ts', `import { type B } from '../../models/onnx/b.ts';`],
    ['types of other models in the scheduler', 'node/scheduler/a.ts', `import type { B } from '../../models/b.ts';`],
    ['a file that the scheduler reads', 'node/scheduler/a.ts', `import { readFile } from 'node:fs/promises';`],
    ['the runtime outside the engine', 'node/prep/a.ts', `import { b } from 'onnxruntime-node';`],
    ['a part of the runtime', 'models/a.ts', `import type { B } from 'onnxruntime-common/b';`],
    ['libp2p outside the mesh', 'node/trust/a.ts', `import { b } from '@libp2p/crypto/keys';`],
    ['libp2p itself in the root', 'node/app/a.ts', `import { b } from 'libp2p';`],
    ['a multiaddr outside the mesh', 'node/cli/a.ts', `import { b } from '@multiformats/multiaddr';`],
    ['a builtin in the protocol', 'protocol/a.ts', `import { b } from 'node:crypto';`],
    ['a builtin by its short name', 'protocol/a.ts', `import { b } from 'fs/promises';`],
    ['Buffer in the protocol', 'protocol/a.ts', `export const b = Buffer.alloc(1);`],
    ['the time in the scheduler', 'node/scheduler/a.ts', `export const b = () => Date.now();`],
    ['chance in the scheduler', 'node/scheduler/a.ts', `export const b = () => Math.random();`],
    ['a timer in the scheduler', 'node/scheduler/a.ts', `setTimeout(() => undefined, 1);`],
    ['a file of tests', 'node/mesh/a.ts', `import { b } from '../../test/support/b.ts';`],
    ['a node in the desktop', 'desktop/main/a.ts', `import { b } from '../../node/app/b.ts';`],
    ['a file in no layer', 'node/elsewhere/a.ts', ''],
  ])('refuses %s', (_what, path, text) => {
    expect(judged({ [path]: text })).toHaveLength(1);
  });

  it.each<[string, string]>([
    ['protocol/a.ts', `import { b } from './b.ts'; import { c } from './messages/c_pb.js'; import { z } from 'zod';`],
    [
      'models/a.ts',
      `import { b } from '../protocol/b.ts'; import { c } from 'node:fs'; import { d } from './onnx/d.ts';`,
    ],
    ['node/core/a.ts', `import type { B } from '../../protocol/b.ts';`],
    ['node/scheduler/a.ts', `import type { B } from '../../models/onnx/b.ts'; import { c } from '../core/c.ts';`],
    ['node/scheduler/b.ts', `export const b = (a: { process: number; Date?: 1 }) => a.process + Math.max(1, 2);`],
    ['node/engine/runner/a.ts', `import * as ort from 'onnxruntime-node'; import { b } from '../../../models/b.ts';`],
    [
      'node/mesh/a.ts',
      `import { b } from '@libp2p/tcp'; import { c } from 'it-pipe'; import { d } from '../core/d.ts';`,
    ],
    ['node/dispatch/a.ts', `import { b } from '../scheduler/b.ts';`],
    ['node/app/a.ts', `import { b } from '../mesh/b.ts'; import { c } from '../../models/c.ts';`],
    ['node/cli/a.ts', `const b = await import('./b.ts'); import c from '../../package.json' with { type: 'json' };`],
    ['desktop/ui/a.tsx', `import { b } from '../shared/b.ts'; export const c = <p>Buffer</p>;`],
    ['node/core/b.ts', `// import { b } from '../mesh/b.ts';\nexport const c = "import('../app/c.ts')";`],
  ])('allows what the table allows: %s', (path, text) => {
    expect(judged({ [path]: text })).toEqual([]);
  });

  it('finds a cycle of files, however long', () => {
    const files = {
      'models/a.ts': `import { b } from './b.ts';`,
      'models/b.ts': `export { c } from './onnx/c.ts';`,
      'models/onnx/c.ts': `import { type A } from '../a.ts';`,
    };
    expect(judged(files)).toEqual(['cycle: models/a.ts → models/b.ts → models/onnx/c.ts → models/a.ts']);
    expect(judged({ 'models/a.ts': `import './a.ts';` })).toHaveLength(1);
  });

  it('lets types, and what is loaded when it is needed, go round', () => {
    const files = {
      'models/a.ts': `import { b } from './b.ts';`,
      'models/b.ts': `import type { A } from './a.ts'; export const b = () => import('./a.ts');`,
    };
    expect(judged(files)).toEqual([]);
  });

  it('refuses a file that it cannot read', () => {
    expect(() => judged({ 'models/a.ts': 'import {' })).toThrow('models/a.ts');
  });

  it('knows each layer once', () => {
    expect(new Set(LAYERS.map(({ folder }) => folder)).size).toBe(LAYERS.length);
  });
});
