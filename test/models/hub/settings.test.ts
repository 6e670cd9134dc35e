// How the hub's settings of this machine are read: as huggingface_hub reads them.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { hubSettings } from '../../../models/hub/settings.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-home-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
});

async function file(path: string, text: string): Promise<string> {
  const at = join(home, ...path.split('/'));
  await mkdir(join(at, '..'), { recursive: true });
  await writeFile(at, text);
  return at;
}

describe('the settings of the hub', () => {
  it('have defaults', async () => {
    expect(await hubSettings({}, home)).toEqual({
      endpoint: 'https://huggingface.co',
      token: undefined,
      offline: false,
      cacheFolder: join(home, '.cache', 'huggingface', 'hub'),
      ca: undefined,
      problem: undefined,
    });
  });

  it('come from the variables', async () => {
    const environment = { HF_ENDPOINT: 'https://hub.example/api/hf//', HF_TOKEN: ' hf_abc\n', HF_HUB_OFFLINE: 'Yes' };
    expect(await hubSettings(environment, home)).toMatchObject({
      endpoint: 'https://hub.example/api/hf',
      token: 'hf_abc',
      offline: true,
      problem: undefined,
    });
  });

  it.each<[string, boolean]>([
    ['1', true],
    ['true', true],
    ['ON', true],
    ['0', false],
    ['', false],
    ['no', false],
  ])('HF_HUB_OFFLINE=%j is %s', async (text, offline) => {
    expect((await hubSettings({ HF_HUB_OFFLINE: text }, home)).offline).toBe(offline);
  });

  it.each<[Record<string, string>, string]>([
    [{ HF_HOME: '~/hf' }, 'hf/hub'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a variable of the shell
    [{ HF_HOME: '${DISK}/hf', DISK: '~' }, 'hf/hub'],
    [{ XDG_CACHE_HOME: '~/cache' }, 'cache/huggingface/hub'],
    [{ HF_HUB_CACHE: '~/x', HF_HOME: '~/y', HUGGINGFACE_HUB_CACHE: '~/z' }, 'x'],
    [{ HUGGINGFACE_HUB_CACHE: '~/z' }, 'z'],
  ])('%j puts the cache in %s', async (environment, path) => {
    expect((await hubSettings(environment, home)).cacheFolder).toBe(join(home, ...path.split('/')));
  });

  it('take the token from a file where no variable has it', async () => {
    await file('.cache/huggingface/token', 'from-default\n');
    await file('hf/token', 'from-home');
    await file('elsewhere', 'from-path');
    const tokenOf = async (environment: Record<string, string>) => (await hubSettings(environment, home)).token;
    expect(await tokenOf({})).toBe('from-default');
    expect(await tokenOf({ HF_HOME: '~/hf' })).toBe('from-home');
    expect(await tokenOf({ HF_HOME: '~/hf', HF_TOKEN_PATH: '~/elsewhere' })).toBe('from-path');
    expect(await tokenOf({ HF_TOKEN: 'given' })).toBe('given');
    expect(await tokenOf({ HUGGING_FACE_HUB_TOKEN: 'old' })).toBe('old');
    expect(await tokenOf({ HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).toBeUndefined();
    await file('hf/token', 'x'.repeat(5000));
    expect(await tokenOf({ HF_HOME: '~/hf' })).toBeUndefined();
  });

  it('read the authorities of all variables, each file once', async () => {
    const a = await file('a.pem', 'A');
    await file('b.pem', 'B');
    const environment = { SSL_CERT_FILE: a, REQUESTS_CA_BUNDLE: a, NODE_EXTRA_CA_CERTS: '~/b.pem', CURL_CA_BUNDLE: '' };
    expect((await hubSettings(environment, home)).ca).toBe('A\nB');
  });

  it.each<[Record<string, string>, string]>([
    [{ HF_ENDPOINT: 'huggingface' }, 'HF_ENDPOINT'],
    [{ HF_ENDPOINT: 'ftp://hub.example' }, 'HF_ENDPOINT'],
    [{ HF_ENDPOINT: 'https://user:word@hub.example' }, 'HF_ENDPOINT'],
    [{ HF_ENDPOINT: 'https://hub.example/?a=1' }, 'HF_ENDPOINT'],
    [{ SSL_CERT_FILE: '/no/such/file' }, 'SSL_CERT_FILE'],
    [{ HF_TOKEN: 'a\u0000b' }, 'HF_TOKEN'],
    [{ HF_TOKEN: 'a b' }, 'HF_TOKEN'],
  ])('%j is a problem that names its variable, and nothing else fails', async (environment, param) => {
    const { problem } = await hubSettings(environment, home);
    expect(problem).toMatchObject({ code: 'config_invalid', facts: { param } });
  });
});
