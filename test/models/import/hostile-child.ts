// Inspects a folder and says which files were opened, by any way that Node has: for hostile.test.ts.
import { createRequire, syncBuiltinESMExports } from 'node:module';

const [path = '', checks = ''] = process.argv.slice(2);
const opened: string[] = [];

type Open = (path: unknown, ...rest: unknown[]) => unknown;
const require = createRequire(import.meta.url);
const fs = require('node:fs') as Record<string, unknown> & { promises: Record<string, unknown> };
for (const holder of [fs, fs.promises]) {
  for (const name of ['open', 'openSync', 'readFile', 'readFileSync', 'createReadStream']) {
    const original = holder[name] as Open | undefined;
    if (original === undefined) continue;
    holder[name] = (file: unknown, ...rest: unknown[]) => {
      opened.push(String(file));
      return original.call(holder, file, ...rest);
    };
  }
}
syncBuiltinESMExports();

// After the patches, so that it binds to them.
const { inspectModel } = await import('../../../models/import/inspect.ts');
const { ONNX_CHECKS } = await import('../../../models/onnx/check.ts');
const kept = new Set([...ONNX_CHECKS].filter((check) => !checks.split(',').includes(check)));
const outcome = await inspectModel({ path }, { checks: kept }).then(
  () => 'taken',
  (error: unknown) => (error instanceof Error ? error.message : String(error)),
);
console.log(JSON.stringify({ opened, outcome }));
