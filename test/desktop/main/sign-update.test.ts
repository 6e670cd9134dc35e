import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isSigned } from '../../../desktop/main/update-signature.ts';
import { ROOT } from '../../../scripts/desktop-electron.ts';
import { newFolder } from '../support/homes.ts';

/** As electron-builder writes it. */
const FEED = `version: 1.2.3
files:
  - url: Weft-1.2.3-linux-x86_64.AppImage
    sha512: ${'Ab1+'.repeat(21)}Ab==
    size: 12345
path: Weft-1.2.3-linux-x86_64.AppImage
sha512: ${'Ab1+'.repeat(21)}Ab==
releaseDate: '2026-01-01T00:00:00.000Z'
`;

it('a feed that is signed is taken by an app of that key, as electron-updater reads it, however often it is signed', () => {
  const folder = newFolder();
  const { privateKey } = generateKeyPairSync('ed25519');
  const keyFile = join(folder, 'key.pem');
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const feed = join(folder, 'latest-linux.yml');
  writeFileSync(feed, FEED);
  const sign = (): string =>
    execFileSync(process.execPath, [join(ROOT, 'scripts', 'desktop-sign-update.ts'), feed], {
      env: { ...process.env, WEFT_UPDATE_PRIVATE_KEY: keyFile },
      encoding: 'utf8',
    });
  sign();
  const publicKey = /public key: (\S+)/.exec(sign())?.[1] ?? '';
  const require = createRequire(import.meta.url);
  const { parseUpdateInfo } = require('electron-updater/out/providers/Provider.js') as {
    parseUpdateInfo(
      text: string,
      name: string,
      url: URL,
    ): {
      readonly version: string;
      readonly files: readonly { readonly url: string; readonly sha512: string }[];
      readonly weftSignature?: string;
    };
  };
  const read = (text: string) => {
    const { version, files, weftSignature } = parseUpdateInfo(text, feed, new URL('https://feed.example/'));
    return { version, files, signature: weftSignature };
  };
  const signed = readFileSync(feed, 'utf8');
  expect(signed.match(/^weftSignature:/gm)).toHaveLength(1);
  expect(isSigned(read(signed), publicKey)).toBe(true);
  expect(isSigned(read(signed.replaceAll('1.2.3', '1.2.4')), publicKey)).toBe(false);
  expect(isSigned(read(FEED), publicKey)).toBe(false);
});
