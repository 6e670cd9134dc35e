import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { LiveSettings } from '../../../node/app/settings.ts';
import { loadSettings, type Settings, type SettingsInit } from '../../../node/config/settings.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { type Log, silentLog } from '../../../node/core/log.ts';
import { temporaryFolder } from '../config/temporary-folder.ts';

interface Running {
  readonly home: string;
  readonly live: LiveSettings;
  readonly log: { readonly warn: ReturnType<typeof vi.fn> };
  /** What listeners were told, in order. */
  readonly told: Settings[];
  write(text: unknown): void;
}

function run(init: Partial<SettingsInit> = {}, file?: unknown): Running {
  const home = init.home ?? temporaryFolder();
  const write = (content: unknown): void =>
    writeFileSync(join(home, 'settings.json'), typeof content === 'string' ? content : JSON.stringify(content));
  if (file !== undefined) write(file);
  const start: SettingsInit = { flags: {}, env: {}, ...init, home };
  const log = { ...silentLog, warn: vi.fn() } satisfies Log;
  const live = new LiveSettings({ clock: systemClock, log }, { ...start, settings: loadSettings(start) });
  const told: Settings[] = [];
  live.onChange((settings) => told.push(settings));
  live.start();
  onTestFinished(() => live.stop());
  return { home, live, log, told, write };
}

const SOON = { timeout: 15_000, interval: 10 };

const row = (live: LiveSettings, name: string) => live.report().settings.find((setting) => setting.name === name);

describe('an edit of settings.json while the node runs', () => {
  it('is taken over where that is safe, and waits for the next start where it is not', async () => {
    const { live, told, write } = run({}, { keepAlive: '5m', threads: 1 });
    write({ keepAlive: '10s', threads: 2, logLevel: 'debug' });
    await vi.waitFor(() => expect(told.at(-1)).toMatchObject({ keepAliveMs: 10_000, logLevel: 'debug' }), SOON);
    expect(live.settings).toMatchObject({ keepAliveMs: 10_000, threads: 1 });
    expect(live.settings.sources.logLevel).toBe('file');
    expect(row(live, 'threads')).toMatchObject({ value: 1, pending: 2, live: false });
    expect(row(live, 'keepAlive')).toMatchObject({ value: '10s', source: 'file', live: true });
    expect(row(live, 'keepAlive')).not.toHaveProperty('pending');
  });

  it('is seen however the editor saves', async () => {
    const { home, live, told, write } = run();
    const path = join(home, 'settings.json');
    const saves: ((level: string) => void)[] = [
      (level) => write({ logLevel: level }),
      (level) => {
        writeFileSync(join(home, 'settings.json~'), JSON.stringify({ logLevel: level }));
        renameSync(join(home, 'settings.json~'), path);
      },
      (level) => {
        rmSync(path);
        write({ logLevel: level });
      },
    ];
    for (const [index, save] of saves.entries()) {
      const level = ['debug', 'info', 'error'][index] as string;
      save(level);
      await vi.waitFor(() => expect(live.settings.logLevel).toBe(level), SOON);
    }
    rmSync(path);
    await vi.waitFor(() => expect(told.at(-1)?.sources.logLevel).toBe('default'), SOON);
  });

  it('is seen behind a link as well, where no watch tells of it', async () => {
    const folder = temporaryFolder();
    const [home, elsewhere] = [join(folder, 'home'), join(folder, 'dotfiles')];
    mkdirSync(home);
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'weft.json'), '{}');
    symlinkSync(join(elsewhere, 'weft.json'), join(home, 'settings.json'));
    const { live } = run({ home });
    writeFileSync(join(elsewhere, 'weft.json'), '{"lenient": true}');
    await vi.waitFor(() => expect(live.settings.lenient).toBe(true), SOON);
  });

  it('changes nothing that a flag or the environment has set', async () => {
    const { live, told, write } = run({ env: { WEFT_KEEP_ALIVE: '1m' }, flags: { logLevel: 'error' } });
    write({ keepAlive: '10s', logLevel: 'debug', lenient: true });
    await vi.waitFor(() => expect(told).toHaveLength(1), SOON);
    expect(told[0]).toMatchObject({ keepAliveMs: 60_000, logLevel: 'error', lenient: true });
    expect(row(live, 'logLevel')).toMatchObject({ value: 'error', source: 'flag' });
  });

  it('is refused whole when something is wrong in it, and told of with its line, until it is mended', async () => {
    const { live, log, told, write } = run({}, { keepAlive: '5m' });
    write('{\n  "logLevel": "debug",\n  "keepAlive": "soon"\n}');
    await vi.waitFor(
      () => expect(live.report().problem).toMatch(/"keepAlive" \(settings.json, line 3, column 3\)/),
      SOON,
    );
    expect(log.warn).toHaveBeenCalledOnce();
    expect(told).toEqual([]);
    expect(live.settings).toMatchObject({ logLevel: 'warn', keepAliveMs: 300_000 });
    write({ logLevel: 'debug' });
    await vi.waitFor(() => expect(live.report()).not.toHaveProperty('problem'), SOON);
    expect(live.settings.logLevel).toBe('debug');
  });

  it('before the first look, after the settings were read, is seen too', async () => {
    const home = temporaryFolder();
    const init = { flags: {}, env: {}, home };
    const settings = loadSettings(init);
    writeFileSync(join(home, 'settings.json'), '{"lenient": true}');
    const live = new LiveSettings({ clock: systemClock, log: silentLog }, { ...init, settings });
    live.start();
    onTestFinished(() => live.stop());
    await vi.waitFor(() => expect(live.settings.lenient).toBe(true), SOON);
  });
});

describe('a change by the API', () => {
  it('is in the file and at work when it has been answered', async () => {
    const { home, live, told } = run();
    const report = await live.change({ maxQueue: '5s', threads: 1, name: 'kitchen' });
    expect(live.settings.maxQueueMs).toBe(5_000);
    expect(told).toHaveLength(1);
    expect(report.settings.find(({ name }) => name === 'maxQueue')).toMatchObject({ value: '5s', source: 'file' });
    expect(report.settings.find(({ name }) => name === 'name')).toMatchObject({ pending: 'kitchen' });
    expect(loadSettings({ flags: {}, env: {}, home })).toMatchObject({ maxQueueMs: 5_000, name: 'kitchen' });
  });

  it('takes nothing of several when one is wrong', async () => {
    const { live, told } = run({}, { keepAlive: '5m' });
    const changing = live.change({ lenient: true, keepAlive: 'soon' });
    await expect(changing).rejects.toMatchObject({ code: 'config_invalid', facts: { setting: 'keepAlive' } });
    expect(live.settings.lenient).toBe(false);
    expect(told).toEqual([]);
  });

  it('loses none of several at once', async () => {
    const { home, live } = run();
    await Promise.all([
      live.change({ lenient: true }),
      live.change({ maxQueue: '1m' }),
      live.change({ lenient: null }),
    ]);
    expect(loadSettings({ flags: {}, env: {}, home })).toMatchObject({ lenient: false, maxQueueMs: 60_000 });
    expect(live.settings).toMatchObject({ lenient: false, maxQueueMs: 60_000 });
  });

  it('reaches every listener, also behind one that fails', async () => {
    const { live } = run();
    const reached = vi.fn();
    live.onChange(() => {
      throw new Error('defect');
    });
    const unsubscribe = live.onChange(reached);
    await live.change({ lenient: true });
    expect(reached).toHaveBeenCalledOnce();
    unsubscribe();
    await live.change({ lenient: false });
    expect(reached).toHaveBeenCalledOnce();
  });
});
