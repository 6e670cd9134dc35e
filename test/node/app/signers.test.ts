import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readSigners } from '../../../node/app/signers.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-signers-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const pemOf = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ type: 'spki', format: 'pem' }).toString();

function recorded() {
  const warnings: unknown[] = [];
  return { warnings, log: { warn: (fields: object) => void warnings.push(fields) } };
}

describe('the setting signers', () => {
  it.each(['any', 'members'] as const)('is what it is: %s', async (signers) => {
    expect(await readSigners(recorded(), signers)).toEqual({ signers, signerKeys: [] });
  });

  it('has the keys of its files by name, beside those that are named', async () => {
    const path = join(folder(), 'publisher.pem');
    const pem = pemOf();
    writeFileSync(path, `# Of the publisher\n${pem}`);
    const { signers, signerKeys } = await readSigners(recorded(), ['ed25519:00', path]);
    expect(signers).toEqual(['ed25519:00', expect.stringMatching(/^openssf:[0-9a-f]{64}$/)]);
    expect(signerKeys).toEqual([pem]);
  });

  it('lets nobody in by a file that holds no key, or is not there, and says so', async () => {
    const empty = join(folder(), 'empty.pem');
    writeFileSync(empty, 'nothing');
    const away = join(folder(), 'away.pub');
    const { log, warnings } = recorded();
    expect(await readSigners({ log }, [empty, away])).toEqual({ signers: [empty, away], signerKeys: [] });
    expect(warnings).toEqual([expect.objectContaining({ file: empty }), expect.objectContaining({ file: away })]);
  });
});
