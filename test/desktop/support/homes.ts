// What a real node leaves for the app, and the ways to it: for tests of the main process with real daemons behind it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { isHeld, readKey, readRecord } from '../../../desktop/main/home.ts';
import { NodeLink } from '../../../desktop/main/node-link.ts';
import { type NodeStarter, nodeStarter } from '../../../desktop/main/node-process.ts';
import type { Daemon } from '../../support/daemon.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'weft-desktop-'));
  folders.push(folder);
  return folder;
}

/** As test/support/daemon.ts starts daemons, with nothing of the outer process' own settings. */
export function nodeEnv(more: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  const outer = Object.entries(process.env).filter(([name]) => !/^(WEFT_|VITEST|NODE_OPTIONS$)/.test(name));
  return {
    ...Object.fromEntries(outer),
    WEFT_HOST: '127.0.0.1:0',
    WEFT_LISTEN: '/ip4/127.0.0.1/tcp/0',
    WEFT_THREADS: '1',
    WEFT_MDNS: 'false',
    WEFT_MEASURE: 'false',
    ...more,
  };
}

/** Starts real nodes on a data folder. */
export function realStarter(init: {
  readonly home: string;
  readonly logs: string;
  readonly env?: Readonly<Record<string, string>>;
}): NodeStarter {
  const weft = fileURLToPath(new URL('../../../bin/weft.js', import.meta.url));
  return nodeStarter({
    program: () => ({ node: process.execPath, weft }),
    env: nodeEnv(init.env),
    home: init.home,
    logs: init.logs,
  });
}

export const homeView = (home: string) => ({ isHeld: () => isHeld(home), record: () => readRecord(home) });

/** The way to a daemon that runs. */
export function linkTo(daemon: Pick<Daemon, 'home' | 'url'>): NodeLink {
  return new NodeLink({
    isHeld: () => isHeld(daemon.home),
    readKey: () => readKey(daemon.home),
    api: () => daemon.url,
    givenKey: undefined,
  });
}
