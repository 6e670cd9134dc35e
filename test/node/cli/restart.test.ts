// `weft restart`: asks, and waits for the later run.
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import { writeDaemonRecord } from '../../../node/config/daemon-record.ts';
import { openHome } from '../../../node/config/home.ts';
import { fakeDaemon, homeOf, recordedContext, sendJson } from './fake-daemon.ts';

const record = (api: string, startedAt: string) => ({ pid: process.pid, api, node: 'n1', version: '0.9.0', startedAt });

/** A data folder that this process holds as a daemon would. */
async function held(onRestart: (folder: string, api: string) => Promise<void>) {
  let folder = '';
  const daemon = await fakeDaemon({
    'POST /api/v1/restart': async (body, response) => {
      expect(body).toEqual({});
      sendJson(response, { restarting: true });
      await onRestart(folder, daemon.url);
    },
  });
  const place = await homeOf(daemon.url);
  await place.release();
  const home = await openHome({ folder: place.folder });
  folder = place.folder;
  await writeDaemonRecord(folder, record(daemon.url, '2026-01-01T00:00:00.000Z'));
  return {
    folder,
    url: daemon.url,
    async [Symbol.asyncDispose]() {
      await home.close();
      await place[Symbol.asyncDispose]();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

describe('weft restart', () => {
  it('waits until the later run answers, which may have the same process', async () => {
    await using daemon = await held((folder, api) =>
      writeDaemonRecord(folder, record(api, '2026-01-01T00:00:05.000Z')),
    );
    const context = recordedContext();
    await runProgram(['restart', '--home', daemon.folder], context, '0.0.0');
    expect(context.out()).toBe(`Restarted: Weft 0.9.0 answers at ${daemon.url}.\n`);
  });

  it('has an answer for programs', async () => {
    await using daemon = await held((folder, api) =>
      writeDaemonRecord(folder, record(api, '2026-01-01T00:00:05.000Z')),
    );
    const context = recordedContext();
    await runProgram(['restart', '--json', '--home', daemon.folder], context, '0.0.0');
    expect(JSON.parse(context.out())).toEqual({ api: daemon.url, version: '0.9.0' });
  });

  it('says where none runs', async () => {
    await using daemon = await fakeDaemon({});
    await using home = await homeOf(daemon.url);
    await home.release();
    await expect(runProgram(['restart', '--home', home.folder], recordedContext(), '0.0.0')).rejects.toMatchObject({
      code: 'daemon_not_running',
    });
  });

  it('ends at Ctrl-C while it waits', async () => {
    const context = recordedContext();
    await using daemon = await held(async () => context.abort());
    await expect(runProgram(['restart', '--home', daemon.folder], context, '0.0.0')).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});
