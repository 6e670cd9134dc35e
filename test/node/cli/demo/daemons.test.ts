// Starting daemons that don't start: stand-ins for bin/weft.js that fail, each in its way.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startDaemon } from '../../../../node/cli/demo/daemons.ts';
import { systemClock } from '../../../../node/core/clock.ts';
import { isAlive, until } from '../../../support/wait.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-demo-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function start(script: string, signal = new AbortController().signal): Promise<unknown> {
  const bin = join(folder, 'weft.mjs');
  await writeFile(bin, script);
  const init = { name: 'tower', offer: 'all', home: folder, port: 1, announce: '/ip4/127.0.0.1/tcp/9' };
  return startDaemon({ clock: systemClock, env: { WEFT_OFFER: 'none' }, bin }, init, signal).catch(
    (error: unknown) => error,
  );
}

it('says which one, and the end of what it printed', async () => {
  expect(await start(`console.error('no such luck'); process.exitCode = 3;`)).toMatchObject({
    code: 'internal',
    message: expect.stringMatching(/tower did not start; it printed:\nno such luck/),
  });
});

it("gives each its own settings, and none of the person's", async () => {
  const script = `console.log(process.env.WEFT_OFFER, process.env.WEFT_HOST, process.argv.slice(2).join()); process.exit(1);`;
  expect(await start(script)).toMatchObject({ message: expect.stringContaining('all 127.0.0.1:0 serve') });
});

it('leaves no process behind when it is interrupted', async () => {
  const controller = new AbortController();
  const pidFile = join(folder, 'pid');
  const script = `import { writeFileSync } from 'node:fs';
    process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000);
    writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));`;
  const started = start(script, controller.signal);
  const pid = Number(await until('its process', async () => (await readFile(pidFile, 'utf8')) || undefined));
  controller.abort(new Error('interrupted'));
  expect(await started).toMatchObject({ message: 'interrupted' });
  expect(await isAlive(pid)).toBe(false);
});
