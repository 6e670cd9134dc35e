// Reads the imports of source files and says which ones the layers do not allow. Used by layering.test.ts, on the
// project's own files and on samples that break each rule.
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { parseSync } from 'rolldown/utils';

/** A layer is a folder; the most specific one counts. */
interface Layer {
  readonly folder: string;
  /** Folders whose files it may import, beside its own. */
  readonly imports: readonly string[];
  /** Folders of which it may import types only. */
  readonly typesOnly?: readonly string[];
  /** No builtin of Node's, no clock, no randomness: the same input always gives the same. */
  readonly pure?: true;
}

const EVERYTHING_IN_NODE = ['node', 'models', 'protocol'];

/** The table of docs/architecture.md. */
export const LAYERS: readonly Layer[] = [
  { folder: 'protocol', imports: [], pure: true },
  { folder: 'models', imports: ['protocol'] },
  { folder: 'node/core', imports: ['protocol'] },
  { folder: 'node/scheduler', imports: ['node/core', 'protocol'], typesOnly: ['models/onnx'], pure: true },
  { folder: 'node/engine', imports: ['node/core', 'protocol', 'models'] },
  { folder: 'node/mesh', imports: ['node/core', 'protocol'] },
  { folder: 'node/trust', imports: ['node/core', 'protocol', 'models'] },
  { folder: 'node/memory', imports: ['node/core', 'protocol', 'models'] },
  { folder: 'node/telemetry', imports: ['node/core', 'protocol', 'models'] },
  { folder: 'node/library', imports: ['node/core', 'protocol', 'models'] },
  { folder: 'node/prep', imports: ['node/core', 'protocol', 'models'] },
  { folder: 'node/config', imports: ['node/core', 'protocol'] },
  { folder: 'node/dispatch', imports: ['node/core', 'protocol', 'node/scheduler', 'models'] },
  { folder: 'node/coordinator', imports: ['node/core', 'protocol', 'models'] },
  { folder: 'node/gateway', imports: ['node/core', 'protocol'] },
  { folder: 'node/app', imports: EVERYTHING_IN_NODE },
  { folder: 'node/cli', imports: EVERYTHING_IN_NODE },
  { folder: 'desktop/main', imports: ['desktop/shared', 'protocol'] },
  { folder: 'desktop/preload', imports: ['desktop/shared', 'protocol'] },
  { folder: 'desktop/ui', imports: ['desktop/shared', 'protocol'] },
  { folder: 'desktop/shared', imports: ['protocol'] },
];

/** Packages that one layer alone may import. */
const OWNED: readonly { readonly packages: RegExp; readonly by: string }[] = [
  { packages: /^onnxruntime-/, by: 'node/engine' },
  { packages: /^(libp2p|it-pipe|@libp2p\/.+|@chainsafe\/.+|@multiformats\/.+)$/, by: 'node/mesh' },
];

/** Read by those who tell the version. */
const PACKAGE_JSON = 'package.json';

/** What a pure layer could reach without an import. */
const IMPURE: ReadonlySet<string> = new Set(
  'Buffer process require __dirname __filename Date performance setTimeout setInterval setImmediate fetch crypto Math.random'.split(
    ' ',
  ),
);

/** One import of a file. */
interface Import {
  /** Undefined where it is no literal. */
  readonly specifier: string | undefined;
  /** Erased before the file runs. */
  readonly typeOnly: boolean;
  /** Runs when it is reached, not when the file is loaded. */
  readonly dynamic: boolean;
}

interface Read {
  readonly imports: readonly Import[];
  /** Names that it uses; those of fields are left out, but for Math.random. */
  readonly identifiers: ReadonlySet<string>;
}

/** Source text of every file, by its path from the project's root with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

/** Every TypeScript file in these folders; folders that are not there are left out. */
export function readSources(root: URL, folders: readonly string[]): Sources {
  const sources = new Map<string, string>();
  for (const folder of folders) {
    let names: string[];
    try {
      names = readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' });
    } catch {
      continue;
    }
    for (const name of names.map((native) => native.replaceAll('\\', '/'))) {
      if (!/(?<!\.d)\.tsx?$/.test(name) || name.includes('node_modules/')) continue;
      sources.set(`${folder}/${name}`, readFileSync(new URL(`${folder}/${name}`, root), 'utf8'));
    }
  }
  return sources;
}

/** One sentence for each import that is not allowed, and for each cycle of files that load each other. */
export function violations(sources: Sources): string[] {
  const found: string[] = [];
  const loads = new Map<string, string[]>();
  for (const [path, text] of sources) {
    const { imports, identifiers } = read(path, text);
    const layer = layerOf(path);
    if (layer === undefined) {
      found.push(`${path} belongs to no layer`);
      continue;
    }
    for (const imported of imports) {
      const problem = judge(path, layer, imported);
      if (problem !== undefined) found.push(`${path} ${problem}`);
    }
    if (layer.pure) {
      for (const name of identifiers) if (IMPURE.has(name)) found.push(`${path} uses ${name}, but must be pure`);
    }
    loads.set(
      path,
      imports.flatMap(({ specifier, typeOnly, dynamic }) =>
        specifier?.startsWith('.') && !typeOnly && !dynamic ? [resolve(path, specifier)] : [],
      ),
    );
  }
  return [...found, ...cycles(loads)];
}

function judge(path: string, layer: Layer, { specifier, typeOnly }: Import): string | undefined {
  if (specifier === undefined) return 'imports something that only its run decides';
  if (isBuiltin(specifier)) return layer.pure ? `imports ${specifier}, but must be pure` : undefined;
  if (!specifier.startsWith('.')) {
    if (/^[/#]|^file:|^@weft-mesh\//.test(specifier)) return `imports ${specifier}, which is no relative path`;
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
    const owner = OWNED.find(({ packages }) => packages.test(name));
    return owner === undefined || owner.by === layer.folder ? undefined : `imports ${name}, as only ${owner.by} may`;
  }
  const target = resolve(path, specifier);
  if (target === PACKAGE_JSON) return layer.pure ? 'imports package.json, but must be pure' : undefined;
  if (isIn(target, layer.folder) || layer.imports.some((folder) => isIn(target, folder))) return undefined;
  if (layer.typesOnly?.some((folder) => isIn(target, folder))) {
    return typeOnly ? undefined : `imports ${target}, of which it may import types only (import type)`;
  }
  return `imports ${target}`;
}

const isIn = (path: string, folder: string): boolean => path.startsWith(`${folder}/`);
const resolve = (from: string, specifier: string): string => posix.join(posix.dirname(from), specifier);

function layerOf(path: string): Layer | undefined {
  return LAYERS.filter(({ folder }) => isIn(path, folder)).sort((a, b) => b.folder.length - a.folder.length)[0];
}

/** @throws Error for a file that can't be parsed: what can't be read can't be judged */
function read(path: string, text: string): Read {
  const { module, program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const imports: Import[] = [];
  // `import { type A }` keeps loading its file: only a whole `import type` or `export type` is erased.
  const erased = (start: number): boolean => /^(import|export)\s+type\b/.test(text.slice(start, start + 40));
  for (const { start, moduleRequest } of module.staticImports) {
    imports.push({ specifier: moduleRequest.value, typeOnly: erased(start), dynamic: false });
  }
  for (const { start, entries } of module.staticExports) {
    for (const { moduleRequest } of entries) {
      if (moduleRequest) imports.push({ specifier: moduleRequest.value, typeOnly: erased(start), dynamic: false });
    }
  }
  for (const { moduleRequest } of module.dynamicImports) {
    const literal = /^['"`]([^'"`$]*)['"`]$/.exec(text.slice(moduleRequest.start, moduleRequest.end));
    imports.push({ specifier: literal?.[1], typeOnly: false, dynamic: true });
  }
  const identifiers = new Set<string>();
  walk(program, (node) => {
    if (node.type === 'Identifier') identifiers.add(String(node.name));
    if (node.type === 'MemberExpression' && text.slice(Number(node.start), Number(node.end)) === 'Math.random') {
      identifiers.add('Math.random');
    }
    // `import('./x.ts').X` as a type.
    if (node.type === 'TSImportType') {
      const { value } = (node.source ?? node.argument) as { readonly value?: string };
      imports.push({ specifier: value, typeOnly: true, dynamic: false });
    }
  });
  return { imports, identifiers };
}

type Node = Readonly<Record<string, unknown>>;

function walk(value: unknown, visit: (node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const inner of value) walk(inner, visit);
  } else if (value !== null && typeof value === 'object') {
    const node = value as Node;
    if ('type' in node) visit(node);
    for (const [name, inner] of Object.entries(node)) {
      // `a.process` and `{ process: 1 }` name a field.
      if ((name !== 'property' && name !== 'key') || node.computed === true || node.shorthand === true)
        walk(inner, visit);
    }
  }
}

/** Depth-first; each cycle is named once, by the file at which it was entered. */
function cycles(loads: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      found.push(`cycle: ${[...trail.slice(at), path].join(' → ')}`);
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const next of loads.get(path) ?? []) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of loads.keys()) visit(path);
  return found;
}
