// Models that lie, each with a twin in which the guard is left out and the lie succeeds.
import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Manifest } from '../../../models/manifest.ts';
import type { Transfer } from '../../../node/core/transfer.ts';
import { bundleOf, newSigner, resourcesOf, statementOf } from '../../models/signing/bundles.ts';
import { startHub } from '../../support/hub-server.ts';
import { carelessPrep, graphOfAnotherDomain } from './hostile.ts';
import {
  graphOf,
  hashOf,
  ID,
  leftIn,
  type NodeInit,
  never,
  offerOf,
  openNode,
  openPrep,
  type TestNode,
  temporary,
  tinyModel,
  Wire,
  withModel,
} from './support.ts';

const SMALL = { graphs: { model: graphOf(7, 600) } };

const pull = (node: TestNode) => node.library.pull({ model: ID }, { signal: never });
const nothingOf = (node: TestNode): void => expect([node.store.list(), node.offers]).toEqual([[], []]);

describe('a manifest that is not the one that was promised', () => {
  /** A peer that promises one model and gives the manifest of another one. */
  async function liar(taking: NodeInit, careless: boolean) {
    const wire = new Wire();
    const prep = openPrep();
    const giver = await openNode({ wire, prep });
    const digest = await withModel(giver, SMALL);
    const manifest = giver.store.byDigest(digest)?.manifest as Manifest;
    giver.withdraw(digest);
    giver.set({ share: false });
    giver.lies.push(offerOf({ id: ID, digest: `sha256:${hashOf('what was promised')}` }, manifest));
    const manifestJson = JSON.stringify(manifest);
    wire.tamper = async ({ method, ask }) => (method === 'manifest' ? { manifestJson, signatures: [] } : ask());
    const believes = (real: Transfer): Transfer =>
      Object.assign(Object.create(real), {
        fetchManifest: async () => manifestJson,
        peer: (node: string) => real.peer(node),
        download: (...args: Parameters<Transfer['download']>) => real.download(...args),
        fetchSignatures: async () => [],
      }) as Transfer;
    const taker = await openNode({ wire, prep, ...taking, ...(careless && { transfer: believes }) });
    return { taker, digest };
  }

  it('is refused', async () => {
    const { taker } = await liar({}, false);
    await expect(pull(taker)).rejects.toMatchObject({ code: 'model_corrupt' });
    nothingOf(taker);
  });

  it('is refused by a library whose transfer does not look, too', async () => {
    const { taker } = await liar({}, true);
    await expect(pull(taker)).rejects.toMatchObject({
      code: 'model_corrupt',
      message: expect.stringContaining('is not the one it was said to be'),
    });
    nothingOf(taker);
  });

  it('twin: where neither looks, another model comes', async () => {
    const { taker, digest } = await liar({ components: { guards: { digest: () => true } } }, true);
    expect(await pull(taker)).toMatchObject({ digest });
  });
});

describe('a manifest that is not that of its files', () => {
  const otherInputs = (manifest: Manifest): Manifest => ({
    ...manifest,
    inputs: [{ name: 'x', type: 'float32', dims: [1, 2, 3] }],
  });

  /** A peer that has installed a model with such a manifest. */
  async function giverOf(change: (manifest: Manifest) => Manifest) {
    const wire = new Wire();
    const giver = await openNode({ wire, prep: carelessPrep(change) });
    await withModel(giver, SMALL);
    return wire;
  }

  it('is refused, and what came with it goes', async () => {
    const wire = await giverOf(otherInputs);
    const taker = await openNode({ wire });
    await expect(pull(taker)).rejects.toMatchObject({
      code: 'model_corrupt',
      message: expect.stringContaining('not those of the graph'),
    });
    nothingOf(taker);
    expect(await leftIn(taker, '.staged')).toEqual([]);
    expect(await leftIn(taker, '.blobs')).toEqual([]);
    // Nor is it told to others any more.
    expect(taker.library.held()).toEqual([]);
  });

  it('twin: without the comparison it is installed', async () => {
    const wire = await giverOf(otherInputs);
    const taker = await openNode({ wire, components: { guards: { files: () => undefined } } });
    await pull(taker);
    expect(taker.store.list()[0]?.manifest.inputs[0]?.dims).toEqual([1, 2, 3]);
  });
});

describe('a hostile graph from a peer', () => {
  async function giverOf() {
    const wire = new Wire();
    const giver = await openNode({ wire, prep: carelessPrep() });
    await withModel(giver, { graphs: { model: graphOfAnotherDomain() } });
    return wire;
  }

  it('is refused by the caged process, and what came of it goes', async () => {
    const taker = await openNode({ wire: await giverOf() });
    await expect(pull(taker)).rejects.toMatchObject({
      code: 'model_corrupt',
      message: expect.stringContaining('com.evil'),
    });
    nothingOf(taker);
    expect(await leftIn(taker, '.staged')).toEqual([]);
    expect(await leftIn(taker, '.blobs')).toEqual([]);
    expect(taker.library.held()).toEqual([]);
  });

  it('twin: a process that does not look lets it in', async () => {
    const taker = await openNode({ wire: await giverOf(), prep: carelessPrep() });
    await pull(taker);
    expect(taker.offers).toHaveLength(1);
  });
});

describe('the setting `signers`', () => {
  /** A giver that signed the model; the strict taker says whom it trusts. */
  async function scene(signers: (giver: TestNode) => 'any' | 'members' | readonly string[], taking: NodeInit = {}) {
    const wire = new Wire();
    const prep = openPrep();
    const giver = await openNode({ wire, prep });
    const digest = await withModel(giver, SMALL);
    const taker = await openNode({ wire, prep, ...taking });
    taker.set({ signers: signers(giver) });
    return { wire, giver, taker, digest };
  }
  const stranger = `ed25519:${generateKeyPairSync('ed25519')
    .publicKey.export({ format: 'der', type: 'spki' })
    .subarray(-32)
    .toString('hex')}`;

  it('takes what a member or a listed key has signed', async () => {
    for (const signers of [() => 'members' as const, (giver: TestNode) => [stranger, giver.id]]) {
      const { taker, digest } = await scene(signers);
      expect(await pull(taker)).toMatchObject({ digest });
    }
  });

  it('refuses what nobody of the list has signed, before anything of it is fetched', async () => {
    const { wire, taker } = await scene(() => [stranger]);
    const methods: string[] = [];
    wire.tamper = ({ method, ask }) => {
      methods.push(method);
      return ask();
    };
    await expect(pull(taker)).rejects.toMatchObject({ code: 'signature_invalid' });
    nothingOf(taker);
    expect(methods).not.toContain('read-file');
  });

  it('twin: without the judgement it is installed', async () => {
    const allow = () => ({ signers: [], warnings: [], refusal: undefined });
    const { taker, digest } = await scene(() => [stranger], { components: { guards: { signers: allow } } });
    expect(await pull(taker)).toMatchObject({ digest });
  });

  it('counts no signature that was changed on the way, and is not kept from good ones by it', async () => {
    const { wire, taker, giver, digest } = await scene(() => 'members');
    const [text = ''] = giver.store.signatures(digest);
    const forged = text.replace(/"signature":"../, '"signature":"00');
    let signatures = [forged];
    wire.tamper = async ({ method, ask }) =>
      method === 'manifest' ? { ...((await ask()) as object), signatures } : ask();
    await expect(pull(taker)).rejects.toMatchObject({ code: 'signature_invalid' });
    signatures = [forged, text];
    expect(await pull(taker)).toMatchObject({ digest, signers: [{ key: giver.id }] });
    expect(taker.store.signatures(digest)).toEqual([text]);
  });

  it('refuses an import that only this node would sign, where this node is not listed', async () => {
    const node = await openNode({ settings: { signers: [stranger] } });
    await expect(withModel(node, SMALL)).rejects.toMatchObject({ code: 'signature_invalid' });
    nothingOf(node);
  });
});

describe('an OpenSSF bundle beside a model of the hub', () => {
  const publisher = newSigner();
  const other = newSigner('Ed25519');

  /** A hub with a model that the publisher has signed, all but what the test changes. */
  async function signedHub(change: (name: string, digest: string) => string = (_name, digest) => digest) {
    const folder = await temporary();
    const model = await tinyModel(folder, SMALL);
    const names = ['LICENSE', 'config.json', 'onnx/model.onnx'];
    const files = await Promise.all(
      names.map(async (name) => {
        const bytes = await readFile(join(model, name));
        return [name, { sha256: change(name, hashOf(bytes)), sizeBytes: bytes.byteLength }] as const;
      }),
    );
    const statement = statementOf(resourcesOf(new Map(files)));
    await writeFile(join(model, 'model.sig'), JSON.stringify(bundleOf(publisher, JSON.stringify(statement))));
    const hub = await startHub({ folder, task: 'other' });
    onTestFinished(() => hub.close());
    return hub;
  }

  it('is verified with the keys of the setting, kept, and told to peers', async () => {
    const hub = await signedHub();
    const wire = new Wire();
    const trusting = { signers: [`openssf:${publisher.hint}`], signerKeys: [publisher.pem] };
    const node = await openNode({ wire, hub: { endpoint: hub.url }, settings: trusting });
    const outcome = await pull(node);
    expect(outcome.signers).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ key: `openssf:${publisher.hint}`, standing: 'listed' })]),
    );
    // A node that trusts nobody but the publisher takes it from the first one.
    const second = await openNode({ wire, settings: trusting });
    expect(await pull(second)).toMatchObject({ digest: outcome.digest, hubBytes: 0 });
    const [report] = await second.library.verify(ID, { repair: false, signal: never });
    expect(report?.signers.map(({ key }) => key)).toContain(`openssf:${publisher.hint}`);
  });

  it('of another key does not do where the publisher is wanted, and nothing large is fetched', async () => {
    const hub = await signedHub();
    const settings = { signers: [`openssf:${other.hint}`], signerKeys: [other.pem] };
    const node = await openNode({ hub: { endpoint: hub.url }, settings });
    await expect(pull(node)).rejects.toMatchObject({ code: 'signature_invalid' });
    nothingOf(node);
    expect(hub.requests.some(({ server }) => server === 'cdn')).toBe(false);
  });

  it.each(['onnx/model.onnx', 'config.json'])('that is of another %s is refused, or warned of', async (changed) => {
    const hub = await signedHub((name, digest) => (name === changed ? hashOf(digest) : digest));
    const settings = { signers: [`openssf:${publisher.hint}`], signerKeys: [publisher.pem] };
    const strict = await openNode({ hub: { endpoint: hub.url }, settings });
    await expect(pull(strict)).rejects.toMatchObject({ code: 'signature_invalid' });
    nothingOf(strict);
    const lax = await openNode({ hub: { endpoint: hub.url }, settings: { signerKeys: [publisher.pem] } });
    expect((await pull(lax)).warnings).toContainEqual(expect.stringMatching(/not valid/));
  });
});
