// Daemons that end with the test that started them.
import { afterEach } from 'vitest';
import { type Daemon, type DaemonInit, startDaemon } from './daemon.ts';

/** Call at the top of a test file. @returns what starts a daemon that is stopped after the test */
export function daemonsOfTest(): (init?: DaemonInit) => Promise<Daemon> {
  const daemons: Daemon[] = [];
  afterEach(async () => {
    for (const daemon of daemons.splice(0)) await daemon.stop();
  });
  return async (init) => {
    const daemon = await startDaemon(init);
    daemons.push(daemon);
    return daemon;
  };
}
