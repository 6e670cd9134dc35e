// What a model on a hub is, and its small files. Guards have twins in which they are left out.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { WeftError } from '../../../protocol/errors.ts';
import { CONFIG, failure, ID, never, openClient, openHub, openScene, WEIGHTS } from './support.ts';

const rejected = (promise: Promise<unknown>): Promise<WeftError> =>
  promise.then(
    () => {
      throw new Error('It was taken.');
    },
    (error) => error as WeftError,
  );

describe('a model on the hub', () => {
  it('is pinned to its commit, with sizes and digests of its files', async () => {
    const { hub, client } = await openScene();
    const model = await client.model(ID, undefined, never);
    expect(model).toMatchObject({
      id: ID,
      revision: await hub.commit(ID),
      licence: 'apache-2.0',
      gated: false,
      task: 'text-generation',
    });
    expect(model.files.map(({ path }) => path)).toEqual([
      'config.json',
      'empty.txt',
      'name with ü & #.txt',
      'onnx/model.onnx',
    ]);
    expect(model.files[3]).toMatchObject({
      sizeBytes: WEIGHTS.length,
      sha256: createHash('sha256').update(WEIGHTS).digest('hex'),
    });
    expect(model.files[0]).toMatchObject({ sizeBytes: CONFIG.length, sha256: undefined });
    // The list is that of the commit, not of the branch, which may move in between.
    expect(hub.requests[1]?.path).toContain(`/tree/${model.revision}?`);
  });

  it('is found by its commit, and in any spelling of its name', async () => {
    const { hub, client } = await openScene();
    const commit = await hub.commit(ID);
    expect((await client.model(ID, commit, never)).revision).toBe(commit);
    hub.lie({ kind: 'text', times: 1, text: JSON.stringify({ id: ID.toUpperCase(), sha: commit }) });
    expect((await client.model(ID, undefined, never)).id).toBe(ID.toUpperCase());
    hub.lie({ kind: 'text', times: 1, text: JSON.stringify({ id: 'other/model', sha: commit }) });
    expect((await client.model(ID, undefined, never)).id).toBe(ID);
  });

  it('has all its files, however many pages they take', async () => {
    const { hub, client } = await openScene({}, { pageSize: 2 });
    expect((await client.model(ID, undefined, never)).files).toHaveLength(4);
    expect(hub.requests.filter(({ path }) => path.includes('/tree/'))).toHaveLength(3);
  });

  it('takes the next page from no other server', async () => {
    const { hub, client } = await openScene({ token: 'secret' }, { pageSize: 2, host: 'localhost' });
    // The link names localhost, the client was told 127.0.0.1: only its query counts.
    const other = openClient({ endpoint: hub.url.replace('localhost', '127.0.0.1'), token: 'secret' });
    expect((await other.model(ID, undefined, never)).files).toHaveLength(4);
    expect(new Set(hub.requests.map(({ headers }) => headers.host?.split(':')[0]))).toEqual(new Set(['127.0.0.1']));
    await client.close();
  });

  it('that is not there is not found', async () => {
    const { client } = await openScene();
    await expect(client.model('owner/nothing', undefined, never)).rejects.toMatchObject(
      failure('model_not_found', /no model "owner\/nothing"/),
    );
    await expect(client.model(ID, 'v9', never)).rejects.toMatchObject(failure('model_not_found', /no revision "v9"/));
  });

  it.each(['name', 'a/b/c', '../etc', 'a/..', './a', 'a/b c', 'a/b?x', 'a/b#x', `a/${'b'.repeat(97)}`])(
    'is not called %s, and nobody is asked',
    async (id) => {
      const { hub, client } = await openScene();
      await expect(client.model(id, undefined, never)).rejects.toMatchObject({ code: 'model_not_found' });
      await expect(client.model(ID, `../${id}`, never)).rejects.toMatchObject({ code: 'model_not_found' });
      expect(hub.requests).toEqual([]);
    },
  );

  it('with terms is refused, and the remedy says what to do about it', async () => {
    const hub = await openHub({ token: 'right' });
    const without = await rejected(openClient({ endpoint: hub.url }).model(ID, undefined, never));
    expect(without).toMatchObject(failure('hub_refused', /accepted its terms/));
    expect(without.remedy).toBe(`Accept its terms on ${hub.url}/${ID}, then set HF_TOKEN to a token of yours.`);
    const wrong = await rejected(openClient({ endpoint: hub.url, token: 'wrong' }).model(ID, undefined, never));
    expect(wrong.code).toBe('hub_refused');
    expect(wrong.remedy).toMatch(/with the account that HF_TOKEN is of/);
    const model = await openClient({ endpoint: hub.url, token: 'right' }).model(ID, undefined, never);
    expect(model.gated).toBe(true);
  });

  it.each<[number, string | undefined, string | undefined, string, RegExp]>([
    [401, undefined, undefined, 'hub_refused', /set HF_TOKEN/],
    [401, undefined, 'token', 'hub_refused', /HF_TOKEN is not valid/],
    [403, undefined, undefined, 'hub_refused', /Set HF_TOKEN, and accept the terms/],
    [403, undefined, 'token', 'hub_refused', /what HF_TOKEN may read/],
    [404, undefined, undefined, 'model_not_found', /Check the name/],
    [401, 'RepoNotFound', 'token', 'model_not_found', /a token that may read it/],
    [451, undefined, undefined, 'hub_refused', /HF_ENDPOINT/],
  ])('answered with %i (%s, token: %s) is %s', async (status, errorCode, token, code, remedy) => {
    const { hub, client } = await openScene({ token });
    hub.lie({ kind: 'fail', status, ...(errorCode !== undefined && { errorCode }) });
    const error = await rejected(client.model(ID, undefined, never));
    expect(error.code).toBe(code);
    expect(error.remedy).toMatch(remedy);
    expect(hub.requests).toHaveLength(1);
  });

  it('is not asked for while offline', async () => {
    const { hub, client } = await openScene({ offline: true });
    const error = await rejected(client.model(ID, undefined, never));
    expect(error).toMatchObject(failure('hub_unreachable', /HF_HUB_OFFLINE is set/));
    const model = { id: ID, revision: 'f'.repeat(40), files: [], licence: undefined, gated: false, task: undefined };
    const file = { path: 'empty.txt', sizeBytes: 0, sha256: undefined, gitSha1: 'e'.repeat(40) };
    await expect(client.bytes(model, file, never)).rejects.toMatchObject({ code: 'hub_unreachable' });
    expect(hub.requests).toEqual([]);
  });

  it('is not asked for where the settings are wrong', async () => {
    const problem = new WeftError({ code: 'config_invalid', message: 'SSL_CERT_FILE names nothing.' });
    const { hub, client } = await openScene({ problem });
    await expect(client.model(ID, undefined, never)).rejects.toBe(problem);
    expect(hub.requests).toEqual([]);
  });

  it('ends with the reason of the signal', async () => {
    const { hub, client } = await openScene();
    const controller = new AbortController();
    const told = hub.lie({ kind: 'silent' });
    const asked = client.model(ID, undefined, controller.signal);
    const reason = new WeftError({ code: 'cancelled', message: 'Enough.' });
    await expect.poll(() => told.times).toBe(1);
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    await expect(client.model(ID, undefined, controller.signal)).rejects.toBe(reason);
  });

  it('ends when the client does', async () => {
    const { hub, client } = await openScene();
    const told = hub.lie({ kind: 'silent' });
    const asked = client.model(ID, undefined, never);
    await expect.poll(() => told.times).toBe(1);
    await Promise.all([expect(asked).rejects.toMatchObject({ code: 'stopping' }), client.close()]);
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject({ code: 'stopping' });
  });
});

describe('an answer that no hub gives', () => {
  it.each<[string, string, RegExp]>([
    ['no JSON', '<html>Log in</html>', /is no hub/],
    ['no object', '[]', /something other than a model/],
    ['no commit', '{"sha": "main"}', /something other than a model/],
    ['a commit that is a path', '{"sha": "../../etc"}', /something other than a model/],
  ])('%s', async (_what, text, pattern) => {
    const { hub, client } = await openScene();
    hub.lie({ kind: 'text', text });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(failure('hub_unreachable', pattern));
  });

  it.each<[string, string]>([
    ['no list', '{}'],
    ['a file without a digest', '[{"type": "file", "path": "a", "size": 1}]'],
    ['a negative size', `[{"type": "file", "path": "a", "size": -1, "oid": "${'0'.repeat(40)}"}]`],
    [
      'an LFS digest that is none',
      `[{"type": "file", "path": "a", "size": 1, "oid": "${'0'.repeat(40)}", "lfs": {"oid": "x", "size": 1}}]`,
    ],
    ['a file twice', JSON.stringify(Array(2).fill({ type: 'file', path: 'a', size: 1, oid: '0'.repeat(40) }))],
  ])('a file list with %s', async (_what, text) => {
    const { hub, client } = await openScene();
    hub.lie({ kind: 'text', on: /\/tree\//, text });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject({ code: 'hub_unreachable' });
  });

  it('takes card fields that are none as not there', async () => {
    const { hub, client } = await openScene();
    const sha = await hub.commit(ID);
    const card = { sha, cardData: { license: ['a', 'b'] }, pipeline_tag: '\u001b[31m', tags: [7, 'license:mit'] };
    hub.lie({ kind: 'text', times: 1, text: JSON.stringify(card) });
    expect(await client.model(ID, undefined, never)).toMatchObject({ licence: 'mit', task: undefined });
  });

  const JSON_BOMB = `[${'[],'.repeat(40_000)}[]]`;

  it('too long, or too much of it', async () => {
    const { hub, client } = await openScene({ limits: { jsonBytesMax: 100_000 } });
    hub.lie({ kind: 'text', text: ' '.repeat(100_001) });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(failure('hub_unreachable', /more than can/));
    const strict = await openScene({ limits: { jsonValuesMax: 50_000 } });
    strict.hub.lie({ kind: 'text', on: /\/tree\//, text: JSON_BOMB });
    const error = await rejected(strict.client.model(ID, undefined, never));
    expect(error.message).toMatch(/more than can be read/);
  });

  it('twin: without the bound all of it is built', async () => {
    const { hub, client } = await openScene({ limits: { jsonValuesMax: Number.POSITIVE_INFINITY } });
    hub.lie({ kind: 'text', on: /\/tree\//, text: JSON_BOMB });
    const error = await rejected(client.model(ID, undefined, never));
    expect(error.message).toMatch(/something other than a list/);
  });

  it('a list without end, or of too many files', async () => {
    const { hub, client } = await openScene({ limits: { pagesMax: 5 } });
    hub.lie({ kind: 'endless' });
    await expect(client.model(ID, undefined, never)).rejects.toMatchObject(failure('hub_unreachable', /without end/));
    expect(hub.requests).toHaveLength(6);
    const few = await openScene({ limits: { filesMax: 3 } });
    await expect(few.client.model(ID, undefined, never)).rejects.toMatchObject(
      failure('hub_unreachable', /more than 3/),
    );
  });

  it.each(['C:/x', 'a:b', `${'a'.repeat(513)}`])('a file called %s, which is left out', async (path) => {
    const { hub, client } = await openScene();
    hub.lie({ kind: 'path', path });
    expect((await client.model(ID, undefined, never)).files).toHaveLength(4);
  });

  it.each(['../../outside', '/etc/passwd', 'a/../../b', 'a\\..\\b', 'a\0b', 'a//b', './a', '', 'a\u001b[2Jb'])(
    'a file called %j, unless nothing checks it',
    async (path) => {
      const { hub, client } = await openScene();
      hub.lie({ kind: 'path', path });
      await expect(client.model(ID, undefined, never)).rejects.toMatchObject(failure('model_corrupt', /outside/));
      const twin = openClient({ endpoint: hub.url, guards: { path: () => true } });
      const { files } = await twin.model(ID, undefined, never);
      expect(files.map((file) => file.path)).toContain(path);
    },
  );
});

describe('a small file', () => {
  it('comes whole and verified', async () => {
    const { client } = await openScene();
    const model = await client.model(ID, undefined, never);
    const texts: string[] = [];
    for (const file of model.files.slice(0, 3)) {
      texts.push(Buffer.from(await client.bytes(model, file, never)).toString());
    }
    expect(texts).toEqual([CONFIG.toString(), '', 'strange']);
    const [, , , weights] = model.files;
    if (weights === undefined) throw new Error('There are four.');
    expect(Buffer.from(await client.bytes(model, weights, never)).equals(WEIGHTS)).toBe(true);
  });

  it.each([0, 3])('with a wrong byte is refused (file %i), unless nothing checks it', async (index) => {
    const { hub, client } = await openScene();
    const model = await client.model(ID, undefined, never);
    const file = model.files[index];
    if (file === undefined) throw new Error('There are four.');
    hub.lie({ kind: 'wrong-bytes' });
    await expect(client.bytes(model, file, never)).rejects.toMatchObject(failure('model_corrupt', /digest differs/));
    const twin = openClient({ endpoint: hub.url, guards: { digest: () => true } });
    const bytes = await twin.bytes(model, file, never);
    expect(createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')).not.toBe(file.gitSha1);
  });

  it('begins anew when its connection breaks', async () => {
    const { hub, client } = await openScene();
    const model = await client.model(ID, undefined, never);
    hub.lie({ kind: 'truncate', times: 2, afterBytes: 5 });
    const [config] = model.files;
    if (config === undefined) throw new Error('There are four.');
    expect(Buffer.from(await client.bytes(model, config, never))).toEqual(CONFIG);
  });

  it('that is large is not read whole', async () => {
    const { client } = await openScene({ limits: { smallBytesMax: 1000 } });
    const model = await client.model(ID, undefined, never);
    const weights = model.files[3];
    if (weights === undefined) throw new Error('There are four.');
    await expect(client.bytes(model, weights, never)).rejects.toMatchObject(failure('model_corrupt', /too large/));
  });

  it('that the hub has no more is not found', async () => {
    const { client } = await openScene();
    const model = await client.model(ID, undefined, never);
    const file = { path: 'gone.txt', sizeBytes: 3, sha256: undefined, gitSha1: '0'.repeat(40) };
    await expect(client.bytes(model, file, never)).rejects.toMatchObject(failure('model_not_found', /no "gone.txt"/));
  });
});
