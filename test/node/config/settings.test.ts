import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXIT_CODES, ExitCode } from '../../../node/config/exit-codes.ts';
import { loadSettings, type SettingsInit } from '../../../node/config/settings.ts';
import { SETTINGS, type SettingName } from '../../../node/config/settings-table.ts';
import { temporaryFolder } from './temporary-folder.ts';

const machine = { hostname: 'laptop', cores: 12, memoryBytes: 16 * 2 ** 30 };

function load(init: Partial<SettingsInit> & { readonly file?: unknown } = {}) {
  const home = temporaryFolder();
  const { file, ...rest } = init;
  if (file !== undefined) {
    writeFileSync(join(home, 'settings.json'), typeof file === 'string' ? file : JSON.stringify(file));
  }
  return { home, settings: () => loadSettings({ flags: {}, env: {}, home, machine, ...rest }) };
}

function failure(init: Parameters<typeof load>[0]): { code: string; message: string; remedy: string } {
  const { settings } = load(init);
  try {
    settings();
  } catch (error) {
    return error as { code: string; message: string; remedy: string };
  }
  throw new Error('it was accepted');
}

describe('settings', () => {
  it('have defaults for everything', () => {
    const { home, settings } = load();
    const { sources, ...values } = settings();
    expect(values).toEqual({
      host: { host: '127.0.0.1', port: 9338 },
      apiKey: undefined,
      origins: [],
      listen: ['/ip4/0.0.0.0/tcp/9339'],
      announce: [],
      mdns: true,
      name: 'laptop',
      offer: 'all',
      models: join(home, 'models'),
      storageBytes: undefined,
      hub: 'https://huggingface.co',
      hubToken: undefined,
      offline: false,
      signers: 'any',
      bring: 'auto',
      preferOthers: ['battery'],
      rawLocal: [],
      lend: true,
      share: true,
      managed: 'admins',
      device: { kind: 'auto', index: undefined },
      threads: 8,
      memoryBytes: 8 * 2 ** 30,
      keepAliveMs: 300_000,
      maxQueueMs: 30_000,
      numParallel: 16,
      pin: [],
      replicas: [],
      exact: false,
      measure: true,
      lenient: false,
      livenessTimeoutMs: 2_000,
      runnerTimeoutMs: 2_000,
      logLevel: 'warn',
      otlpEndpoint: undefined,
    });
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
    expect(Object.keys(sources).sort()).toEqual(Object.keys(SETTINGS).sort());
  });

  it('take the flag before the environment before the file before the default, and say which', () => {
    const file = { name: 'from file', threads: 3, offer: ['minilm'], mdns: false };
    const env = { WEFT_NAME: 'from env', WEFT_THREADS: '2', WEFT_OFFER: '' };
    const settings = load({ file, env, flags: { name: 'from flag' } }).settings();
    expect(settings).toMatchObject({ name: 'from flag', threads: 2, offer: ['minilm'], mdns: false });
    const { name, threads, offer, mdns, logLevel } = settings.sources;
    expect([name, threads, offer, mdns, logLevel]).toEqual(['flag', 'environment', 'file', 'file', 'default']);
  });

  it('read every form of a value', () => {
    const settings = load({
      env: {
        WEFT_HOST: '[::1]:0',
        WEFT_LISTEN: '/ip4/127.0.0.1/tcp/0, /ip6/::1/tcp/0',
        WEFT_ANNOUNCE: '/dns4/home.example/tcp/9339',
        WEFT_OFFER: 'smollm2,Xenova/all-MiniLM-L6-v2',
        WEFT_MDNS: 'off',
        WEFT_MEMORY: '4GiB',
        WEFT_KEEP_ALIVE: '-1',
        WEFT_LIVENESS_TIMEOUT: '750ms',
        WEFT_RUNNER_TIMEOUT: '10s',
        WEFT_ORIGINS: 'http://localhost:3000',
        WEFT_MODELS: '/models',
        WEFT_API_KEY: 'sk-1',
        WEFT_LOG_LEVEL: 'debug',
        WEFT_MAX_QUEUE: '1m30s',
        WEFT_NUM_PARALLEL: '8',
        WEFT_LENIENT: '1',
        WEFT_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
        WEFT_STORAGE: '200GB',
        HF_ENDPOINT: 'https://hub.example/mirror/',
        HF_TOKEN: ' hf_token\n',
        HF_HUB_OFFLINE: 'ON',
        WEFT_SIGNERS: 'members',
        WEFT_BRING: 'never',
        WEFT_SHARE: 'no',
      },
      file: { threads: '5' },
    }).settings();
    expect(settings).toMatchObject({
      host: { host: '::1', port: 0 },
      listen: ['/ip4/127.0.0.1/tcp/0', '/ip6/::1/tcp/0'],
      announce: ['/dns4/home.example/tcp/9339'],
      offer: ['smollm2', 'Xenova/all-MiniLM-L6-v2'],
      mdns: false,
      memoryBytes: 4 * 2 ** 30,
      keepAliveMs: Number.POSITIVE_INFINITY,
      livenessTimeoutMs: 750,
      runnerTimeoutMs: 10_000,
      origins: ['http://localhost:3000'],
      models: '/models',
      apiKey: 'sk-1',
      logLevel: 'debug',
      maxQueueMs: 90_000,
      numParallel: 8,
      lenient: true,
      otlpEndpoint: 'http://127.0.0.1:4318',
      threads: 5,
      storageBytes: 200e9,
      hub: 'https://hub.example/mirror',
      hubToken: 'hf_token',
      offline: true,
      signers: 'members',
      bring: 'never',
      share: false,
    });
    expect(load({ env: { WEFT_PREFER_OTHERS: 'owner, battery' } }).settings().preferOthers).toEqual([
      'owner',
      'battery',
    ]);
    expect(load({ env: { WEFT_PREFER_OTHERS: 'none' } }).settings().preferOthers).toEqual([]);
    expect(() => load({ env: { WEFT_PREFER_OTHERS: 'none,owner' } }).settings()).toThrow(/battery, owner/);
    const node = `12D3KooW${'A'.repeat(44)}`;
    const signers = [node, `ed25519:${'0a'.repeat(32)}`, `openssf:${'0b'.repeat(32)}`, 'keys/publisher.pem'];
    expect(load({ file: { signers, storage: 'none' } }).settings()).toMatchObject({
      signers: [...signers.slice(0, 3), resolve('keys/publisher.pem')],
      storageBytes: undefined,
    });
    expect(load({ file: { keepAlive: -1, memory: 2 ** 30 } }).settings()).toMatchObject({
      keepAliveMs: Number.POSITIVE_INFINITY,
      memoryBytes: 2 ** 30,
    });
    expect(load({ flags: { offer: 'none', mdns: false, listen: ['/ip4/0.0.0.0/tcp/1'] } }).settings()).toMatchObject({
      offer: 'none',
      mdns: false,
      listen: ['/ip4/0.0.0.0/tcp/1'],
    });
  });

  it.each([
    ['WEFT_HOST', 'localhost'],
    ['WEFT_HOST', '127.0.0.1:99999'],
    ['WEFT_LISTEN', '0.0.0.0:9339'],
    ['WEFT_LISTEN', ','],
    ['WEFT_LISTEN', '/dns4/a.example/tcp/1'],
    ['WEFT_ANNOUNCE', 'home.example'],
    ['WEFT_OFFER', 'all,smollm2'],
    ['WEFT_OFFER', '../../etc'],
    ['WEFT_MDNS', 'maybe'],
    ['WEFT_THREADS', '0'],
    ['WEFT_THREADS', '2.5'],
    ['WEFT_THREADS', '1000'],
    ['WEFT_MEMORY', '4'],
    ['WEFT_MEMORY', 'lots'],
    ['WEFT_KEEP_ALIVE', '5'],
    ['WEFT_KEEP_ALIVE', '25d'],
    ['WEFT_LIVENESS_TIMEOUT', '1ms'],
    ['WEFT_RUNNER_TIMEOUT', '1h'],
    ['WEFT_ORIGINS', '*'],
    ['WEFT_LOG_LEVEL', 'loud'],
    ['WEFT_MAX_QUEUE', '30'],
    ['WEFT_MAX_QUEUE', '2h'],
    ['WEFT_NUM_PARALLEL', '0'],
    ['WEFT_NUM_PARALLEL', '65'],
    ['WEFT_LENIENT', 'somewhat'],
    ['WEFT_OTLP_ENDPOINT', 'localhost:4318'],
    ['WEFT_OTLP_ENDPOINT', 'http://user:secret@collector.example'],
    ['WEFT_NAME', 'tab\there'],
    ['WEFT_API_KEY', 'two words'],
    ['WEFT_STORAGE', '200'],
    ['WEFT_STORAGE', 'all'],
    ['HF_ENDPOINT', 'huggingface.co'],
    ['HF_ENDPOINT', 'https://user:secret@hub.example'],
    ['HF_TOKEN', 'two words'],
    ['HF_HUB_OFFLINE', 'perhaps'],
    ['WEFT_SIGNERS', 'nobody'],
    ['WEFT_SIGNERS', 'members,ed25519:0a'],
    ['WEFT_SIGNERS', 'ed25519:0a'],
    ['WEFT_SIGNERS', ','],
    ['WEFT_BRING', 'always'],
    ['WEFT_SHARE', 'some'],
  ])('refuse %s=%s, naming variable and remedy', (variable, value) => {
    const { code, message, remedy } = failure({ env: { [variable]: value } });
    expect(code).toBe('config_invalid');
    expect(message).toContain(`(${variable}) should be `);
    expect(remedy).toContain(variable);
    if (['WEFT_API_KEY', 'HF_TOKEN'].includes(variable)) expect(message + remedy).not.toContain(value);
  });

  it('name the file or the flag where the value came from', () => {
    expect(failure({ file: { threads: 'many' } })).toMatchObject({
      message:
        'The setting "threads" (settings.json, line 1, column 2) should be a whole number from 1 to 256, not "many".',
      remedy: expect.stringContaining('"threads" in settings.json'),
    });
    expect(failure({ flags: { keepAlive: 'x' } }).message).toContain('(--keep-alive)');
  });

  it('refuse unknown names in the file, and guess what was meant', () => {
    expect(failure({ file: { ofer: 'all' } })).toMatchObject({
      code: 'config_invalid',
      remedy: 'Did you mean "offer"?',
    });
    expect(failure({ file: { colour: 1 } }).remedy).toMatch(/Remove it/);
    expect(failure({ file: '{"__proto__": {"threads": 1}}' }).code).toBe('config_invalid');
    expect(failure({ file: { constructor: 1 } }).code).toBe('config_invalid');
  });

  it('refuse a file that is no JSON object, or holds the key', () => {
    expect(failure({ file: '{' }).message).toContain('is not JSON');
    expect(failure({ file: '[]' }).message).toContain('no JSON object');
    expect(failure({ file: { apiKey: 'secret' } }).remedy).toBe('Set WEFT_API_KEY or --api-key instead.');
    expect(failure({ file: { hubToken: 'secret' } }).remedy).toBe('Set HF_TOKEN or --hub-token instead.');
  });

  it('refuse an API that others reach without a key of its owner’s', () => {
    for (const host of ['0.0.0.0:9338', '[::]:9338', '192.168.1.2:0', 'nas.example:9338']) {
      const { code, remedy } = failure({ env: { WEFT_HOST: host } });
      expect(code).toBe('config_invalid');
      expect(remedy).toContain('WEFT_API_KEY');
    }
    expect(load({ env: { WEFT_HOST: '0.0.0.0:9338', WEFT_API_KEY: 'k' } }).settings().host.host).toBe('0.0.0.0');
    expect(load({ env: { WEFT_HOST: 'localhost:9338' } }).settings().host.host).toBe('localhost');
  });

  it('have a sound default on any machine', () => {
    const odd = { hostname: '\u0007', cores: 0, memoryBytes: 0 };
    expect(load({ machine: odd }).settings()).toMatchObject({ name: 'weft', threads: 1, memoryBytes: 2 ** 20 });
    expect(load({ machine: { ...odd, hostname: 'x'.repeat(300) } }).settings().name).toHaveLength(64);
  });
});

describe('docs/configuration.md', () => {
  const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');

  it('lists every setting with its flag and variable', () => {
    for (const name of Object.keys(SETTINGS) as SettingName[]) {
      const { flag, env } = SETTINGS[name];
      const line = page.split('\n').find((candidate) => candidate.startsWith(`| \`${name}\` |`));
      expect(line, name).toBeDefined();
      expect(line).toContain(`\`${flag}`);
      expect(line).toContain(`\`${env}\``);
    }
  });

  it('says the default, and that it can be changed while the node runs, of each that can', () => {
    const live = (Object.keys(SETTINGS) as SettingName[]).filter((name) => SETTINGS[name].live);
    const sentence = page.split('\n\n').find((paragraph) => paragraph.startsWith('A running node takes over'));
    const named = [...(sentence ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name);
    expect(named.sort()).toEqual(live.toSorted());
  });

  it('lists every exit code with the errors that lead to it', () => {
    for (const exit of Object.values(ExitCode)) {
      const line = page.split('\n').find((candidate) => candidate.startsWith(`| ${exit} |`));
      expect(line, String(exit)).toBeDefined();
      for (const [code, itsExit] of Object.entries(EXIT_CODES)) {
        if (itsExit === exit) expect(line).toContain(`\`${code}\``);
      }
    }
  });
});
