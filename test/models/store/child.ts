// A process that lives a store's life (life.ts) and kills itself at the step that it is told, of its own thread or of the
// store's: steps are changes of the disk, and a kill comes before one, after it, or half-way through a write.
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const [root = '', seed = '0', where = '', at = '0'] = process.argv.slice(2);
const CHANGES = ['rename', 'rm', 'link', 'mkdir', 'mkdtemp', 'open', 'copyFile', 'rmdir'] as const;
const HANDLE_CHANGES = ['sync', 'datasync', 'truncate', 'writeFile'] as const;

let steps = 0;
const step = (): void => {
  if (++steps === Number(at) && where === 'main') process.kill(process.pid, 'SIGKILL');
};

type Change = (...args: unknown[]) => Promise<unknown>;

function counted(owner: Record<string, Change>, name: string): void {
  const change = owner[name];
  if (change === undefined) throw new Error(`there is no ${name}`);
  owner[name] = async function (this: unknown, ...args: unknown[]) {
    step();
    const result = await change.apply(this, args);
    step();
    return result;
  };
}

const probe = await promises.open(process.execPath, 'r');
const prototype = Object.getPrototypeOf(probe) as Record<string, Change>;
await probe.close();
for (const name of HANDLE_CHANGES) counted(prototype, name);
for (const name of CHANGES) counted(promises as unknown as Record<string, Change>, name);
syncBuiltinESMExports();

const { ModelStore } = await import('../../../models/store.ts');
const { DISK_THREAD } = await import('../../../models/store/disk-queue.ts');
const { live } = await import('./life.ts');

const inThread = `{
  const fs = require('node:fs');
  const { writeSync } = fs;
  let steps = 0;
  const step = (half) => {
    if (++steps !== ${where === 'thread' ? Number(at) : 0}) return;
    half();
    process.kill(process.pid, 'SIGKILL');
  };
  fs.writeSync = (fd, bytes, offset, length, position) => {
    step(() => undefined);
    step(() => writeSync(fd, bytes, offset, length >> 1, position));
    const count = writeSync(fd, bytes, offset, length, position);
    step(() => undefined);
    return count;
  };
}
${DISK_THREAD}`;

const say = (line: string): void => {
  fs.writeSync(1, `${line}\n`);
};
const store = new ModelStore(
  { log: { warn: (_fields, message) => say(`log ${message}`) } },
  { roots: [root], cacheFolder: join(root, '..', 'cache'), threadProgram: inThread },
);
await store.open();
await live(store, Number(seed), say);
say(`steps ${steps}`);
