import { generateKeyPairSync, sign } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { UpdateOffer } from '../../../desktop/main/host.ts';
import { SILENT } from '../../../desktop/main/log.ts';
import { isSigned, signedText } from '../../../desktop/main/update-signature.ts';
import { Updates, type UpdatesComponents } from '../../../desktop/main/updates.ts';
import { FakeElectron } from '../support/fake-electron.ts';
import { newFolder } from '../support/homes.ts';

const pair = () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  return { publicKey: Buffer.from(x, 'base64url').toString('base64'), privateKey };
};
const OURS = pair();
const THEIRS = pair();
const UNSIGNED = {
  version: '2.0.0',
  files: [{ url: 'Weft-2.0.0-x64.AppImage', sha512: `${'A'.repeat(86)}==` }],
  signature: undefined,
};
const signed = (offer: Omit<UpdateOffer, 'signature'>, by = OURS): UpdateOffer => ({
  ...offer,
  signature: sign(null, Buffer.from(signedText(offer)), by.privateKey).toString('base64'),
});
const OFFER = signed(UNSIGNED);

describe('the signature of a feed', () => {
  it('holds for what was signed', () => {
    expect(isSigned(OFFER, OURS.publicKey)).toBe(true);
  });

  const file = { url: 'Weft-2.0.0-x64.AppImage', sha512: `${'B'.repeat(86)}==` };
  it.each<[string, UpdateOffer]>([
    ['none', UNSIGNED],
    ['that of somebody else', signed(UNSIGNED, THEIRS)],
    ['another version', { ...OFFER, version: '3.0.0' }],
    ['another digest', { ...OFFER, files: [file] }],
    ['another file beside it', { ...OFFER, files: [...OFFER.files, file] }],
    ['no files', signed({ version: '2.0.0', files: [] })],
    ['nonsense', { ...OFFER, signature: 'nonsense' }],
    ['a line break in a name', signed({ version: '2.0.0', files: [{ url: `a b\nc`, sha512: file.sha512 }] })],
    ['no digest', signed({ version: '2.0.0', files: [{ url: 'a', sha512: '' }] })],
  ])('does not hold: %s', (_what, offer) => {
    expect(isSigned(offer, OURS.publicKey)).toBe(false);
  });

  it('does not hold without a key', () => {
    expect(isSigned(OFFER, '')).toBe(false);
  });
});

describe('Updates', () => {
  const open: Updates[] = [];
  afterEach(() => {
    for (const updates of open.splice(0)) updates.stop();
  });

  function setup(
    init: { readonly packaged?: boolean; readonly publicKey?: string | undefined } = {},
    more: Partial<UpdatesComponents> = {},
  ) {
    const electron = new FakeElectron({ userData: newFolder() });
    const available: string[] = [];
    const updates = new Updates(
      {
        updater: electron.host.updater,
        log: SILENT,
        wallNow: () => 1_000,
        onAvailable: (version) => void available.push(version),
        ...more,
      },
      { packaged: true, publicKey: OURS.publicKey, ...init },
    );
    open.push(updates);
    return { electron, updates, available };
  }

  it('says that there is nothing newer', async () => {
    const { updates } = setup();
    await updates.check();
    expect(updates.state).toEqual({ phase: 'idle', checkedAtMs: 1_000 });
  });

  it('is found, downloaded and installed, each when the person says so', async () => {
    const { electron, updates, available } = setup();
    electron.offer = OFFER;
    const phases: string[] = [];
    updates.onChange(() => phases.push(updates.state.phase));
    expect(() => updates.install()).toThrow('no update');
    await expect(updates.download()).rejects.toThrow('no update');
    await updates.check();
    await updates.check();
    expect(available).toEqual(['2.0.0']);
    expect(updates.state).toEqual({ phase: 'available', version: '2.0.0' });
    expect(electron.installed).toBe(0);
    await updates.download();
    expect(updates.state).toEqual({ phase: 'ready', version: '2.0.0' });
    expect(phases).toContain('downloading');
    updates.install();
    expect(electron.installed).toBe(1);
  });

  it('without our signature is not downloaded; without the check it would be', async () => {
    const { electron, updates, available } = setup();
    electron.offer = signed(UNSIGNED, THEIRS);
    await updates.check();
    expect(updates.state).toMatchObject({ phase: 'failed' });
    await expect(updates.download()).rejects.toThrow('no update');
    expect(available).toEqual([]);
    const unguarded = setup({}, { isSigned: () => true });
    unguarded.electron.offer = electron.offer;
    await unguarded.updates.check();
    await unguarded.updates.download();
    expect(unguarded.updates.state.phase).toBe('ready');
  });

  it('tells of errors, and goes on', async () => {
    const { electron, updates } = setup();
    electron.feedError = new Error('getaddrinfo ENOTFOUND feed.example');
    await updates.check();
    expect(updates.state).toEqual({
      phase: 'failed',
      detail: 'The update could not be looked for: getaddrinfo ENOTFOUND feed.example',
    });
    electron.feedError = undefined;
    electron.offer = OFFER;
    electron.downloadError = new Error('sha512 checksum mismatch');
    await updates.check();
    await updates.download();
    expect(updates.state).toMatchObject({ phase: 'failed', detail: expect.stringContaining('checksum') });
  });

  it.each([
    ['in development', { packaged: false }],
    ['in a build that can check nothing', { publicKey: undefined }],
  ])('is off %s', async (_what, init) => {
    const { electron, updates } = setup(init);
    electron.offer = OFFER;
    updates.start();
    await updates.check();
    expect(updates.state).toMatchObject({ phase: 'off' });
  });
});
