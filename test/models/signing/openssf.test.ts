// Bundles of OpenSSF Model Signing, tampered with in every field. Each check has a twin in which it is left out and what it
// stops gets through.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { bundleFromJSON, bundleToJSON } from '@sigstore/bundle';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUNDLE_CHARS_MAX, KEYS_MAX, RESOURCES_MAX } from '../../../models/signing/limits.ts';
import {
  MODEL_SIGNING_CHECKS,
  type VerifyModelSigningOptions,
  verifyModelSigning,
} from '../../../models/signing/openssf.ts';
import { runs } from '../../support/property.ts';
import {
  bundleOf,
  CURVES,
  type Files,
  filesOf,
  newSigner,
  olderBundleOf,
  resourcesOf,
  sha256,
  statementOf,
} from './bundles.ts';
import { changesOf } from './json-changes.ts';

const FILES = filesOf({ 'onnx/model.onnx': 'the graph', 'onnx/model.onnx_data': 'weights', 'tokenizer.json': '{}' });
const SIGNER = newSigner();
const STRANGER = newSigner();

const statementText = (files = FILES): string => JSON.stringify(statementOf(resourcesOf(files)), null, 2);
const goodBundle = (signer = SIGNER, files = FILES): string => JSON.stringify(bundleOf(signer, statementText(files)));
const verify = (text: string, files: Files = FILES, options: VerifyModelSigningOptions = {}, keys = [SIGNER.pem]) =>
  verifyModelSigning(text, keys, files, options);

/** All checks but one, by its name. */
function without(name: string): typeof MODEL_SIGNING_CHECKS {
  const left = <Check>(checks: Readonly<Record<string, Check>>): Record<string, Check> =>
    Object.fromEntries(Object.entries(checks).filter(([one]) => one !== name));
  const { envelope, head, statement } = MODEL_SIGNING_CHECKS;
  return { envelope: left(envelope), head: left(head), statement: left(statement) };
}

describe('a right bundle', () => {
  it.each(Object.keys(CURVES) as (keyof typeof CURVES)[])('is valid: %s', (curve) => {
    const signer = newSigner(curve);
    const keys = [STRANGER.pem, signer.pem];
    expect(verify(goodBundle(signer), FILES, {}, keys)).toEqual({
      status: 'valid',
      key: `openssf:${signer.hint}`,
      reason: undefined,
      covered: ['onnx/model.onnx', 'onnx/model.onnx_data', 'tokenizer.json'],
      uncovered: [],
    });
    const older = JSON.stringify(olderBundleOf(signer, statementText()));
    expect(verify(older, FILES, {}, keys)).toMatchObject({ status: 'valid', key: `openssf:${signer.hint}` });
  });

  it('may stand in a person’s key file, with other text and other keys', () => {
    const file = `Public Key Information:\n  Curve: P-256\n\n${STRANGER.pem}\n# mine\n${SIGNER.pem.replaceAll('\n', '\r\n')}`;
    expect(verify(goodBundle(), FILES, {}, [file]).status).toBe('valid');
  });

  it('does not sign itself, nor what Weft writes beside a model', () => {
    const text = goodBundle();
    const own = filesOf({
      'weft-manifest.json': 'm',
      'weft-signatures.json': 's',
      'weft-origin.json': 'o',
      'a.sig': text,
    });
    expect(verify(text, new Map([...FILES, ...own]))).toMatchObject({ status: 'valid', uncovered: [] });
    const alike = filesOf({ 'weft-graph.json': 'g', 'model.sig': 'a graph', 'onnx/weft-manifest.json': 'm' });
    expect(verify(text, new Map([...FILES, ...alike]))).toMatchObject({
      status: 'invalid',
      reason: 'It does not sign "model.sig", "onnx/weft-manifest.json", "weft-graph.json".',
      uncovered: ['model.sig', 'onnx/weft-manifest.json', 'weft-graph.json'],
    });
  });

  it('of a whole hub folder is valid for the part that is here, where that is asked for', () => {
    const folder = new Map([...FILES, ...filesOf({ 'onnx/model_q4.onnx': 'another variant' })]);
    const text = goodBundle(SIGNER, folder);
    expect(verify(text)).toMatchObject({ status: 'invalid', reason: expect.stringContaining('"onnx/model_q4.onnx"') });
    expect(verify(text, FILES, { partial: true })).toMatchObject({ status: 'valid', uncovered: [] });
  });

  it('may leave out what its signer ignored, but for the files that are needed', () => {
    const text = JSON.stringify(
      bundleOf(SIGNER, JSON.stringify(statementOf(resourcesOf(FILES), ['docs', 'notes.json']))),
    );
    const files = new Map([...FILES, ...filesOf({ 'docs/a/b.md': 'b', 'notes.json': '[]' })]);
    const needed = new Set(['onnx/model.onnx']);
    expect(verify(text, files, { needed })).toMatchObject({
      status: 'valid',
      uncovered: ['docs/a/b.md', 'notes.json'],
    });
    expect(verify(text, files).status).toBe('invalid');
    const beside = new Map([...files, ...filesOf({ 'docs.json': 'd' })]);
    expect(verify(text, beside, { needed })).toMatchObject({ reason: 'It does not sign "docs.json".' });
    // A graph in an ignored folder: the signer has said nothing of it.
    expect(verify(text, files, { needed: new Set(['docs/a/b.md']) }).status).toBe('invalid');
  });

  it('says nothing to who does not know its key', () => {
    const known = { covered: [], uncovered: [...FILES.keys()], key: `openssf:${SIGNER.hint}` };
    expect(verify(goodBundle(), FILES, {}, [STRANGER.pem])).toMatchObject({ status: 'unknown_key', ...known });
    expect(verify(goodBundle(), FILES, {}, [])).toMatchObject({ status: 'unknown_key', ...known });
    const older = JSON.stringify(olderBundleOf(SIGNER, statementText()));
    // It brings its key along, which is no reason to trust it.
    expect(verify(older, FILES, {}, [STRANGER.pem])).toMatchObject({ status: 'unknown_key', ...known });
  });
});

describe('tampering', () => {
  it.each<[string, () => object, readonly string[]]>([
    [
      'today’s form',
      () => bundleOf(SIGNER, statementText()),
      // What nobody signs, nothing reads, and the format's libraries write in several ways.
      [
        'verificationMaterial.tlogEntries: removed',
        'dsseEnvelope.signatures[0].keyid: null',
        'dsseEnvelope.signatures[0].keyid: removed',
      ],
    ],
    ['the older form', () => olderBundleOf(SIGNER, statementText()), ['dsseEnvelope.signatures[0].keyid: removed']],
  ])('with anything of a bundle is noticed: %s', (_form, make, harmless) => {
    const good = make();
    expect(verify(JSON.stringify(good)).status).toBe('valid');
    const passed: string[] = [];
    let count = 0;
    for (const { what, text } of changesOf(good)) {
      count++;
      const report = verify(text, FILES, {}, [SIGNER.pem, STRANGER.pem]);
      if (report.status === 'valid') passed.push(what);
      else expect(report.covered).toEqual([]);
    }
    expect(passed).toEqual(harmless);
    expect(count).toBeGreaterThan(150);
  });

  it('with anything that is signed is noticed', () => {
    const good = bundleOf(SIGNER, statementText());
    let count = 0;
    for (const { what, text } of changesOf(statementOf(resourcesOf(FILES)))) {
      const payload = Buffer.from(text).toString('base64');
      const report = verify(JSON.stringify({ ...good, dsseEnvelope: { ...good.dsseEnvelope, payload } }));
      expect({ what, ...report }).toMatchObject({
        what,
        status: 'invalid',
        reason: 'The signature is not that of its key.',
      });
      count++;
    }
    expect(count).toBeGreaterThan(300);
  });

  it('by the signer’s own hand is noticed, but in what the format leaves open', () => {
    const statement = statementOf(resourcesOf(FILES));
    const passed = [...changesOf(statement)].flatMap(({ what, text }) =>
      verify(JSON.stringify(bundleOf(SIGNER, text))).status === 'valid' ? [what] : [],
    );
    // The model's name, further fields, links, and what is ignored, which excuses nothing by itself.
    const open = /^subject\[0\]\.name: |^predicate\.serialization\.(allow_symlinks|ignore_paths)|^[^:]*: one more$/;
    expect(passed.filter((what) => !open.test(what))).toEqual([]);
    expect(passed).toEqual(expect.arrayContaining(['all: one more', 'predicate: one more', 'subject[0].name: empty']));
    expect(passed).not.toContain('predicate.resources: one more');
  });

  it('with a file is noticed', () => {
    for (const path of FILES.keys()) {
      const changed = new Map(FILES).set(path, { sha256: sha256('other'), sizeBytes: 5 });
      expect(verify(goodBundle(), changed)).toMatchObject({
        status: 'invalid',
        reason: `It signs other bytes for "${path}".`,
        uncovered: [path],
      });
      const fewer = new Map(FILES);
      fewer.delete(path);
      expect(verify(goodBundle(), fewer).reason).toBe(`It signs "${path}", which the model does not have.`);
    }
    const more = new Map([...FILES, ...filesOf({ 'evil.onnx': 'x' })]);
    expect(verify(goodBundle(), more)).toMatchObject({ status: 'invalid', uncovered: ['evil.onnx'] });
  });

  it('with a key: another one’s signature under this one’s name', () => {
    const bundle = bundleOf(STRANGER, statementText());
    bundle.verificationMaterial.publicKey.hint = SIGNER.hint;
    expect(verify(JSON.stringify(bundle), FILES, {}, [SIGNER.pem, STRANGER.pem]).status).toBe('invalid');
  });
});

describe('each check', () => {
  interface Attack {
    readonly text: string;
    readonly files?: Files;
    readonly options?: VerifyModelSigningOptions;
  }
  const signed = (statement: unknown): string => JSON.stringify(bundleOf(SIGNER, JSON.stringify(statement)));
  const good = () => statementOf(resourcesOf(FILES));
  const evil = new Map(FILES).set('onnx/model.onnx', { sha256: sha256('evil'), sizeBytes: 4 });

  const ATTACKS: Record<string, () => Attack> = {
    keyDetails: () => ({ text: JSON.stringify(olderBundleOf(SIGNER, statementText(), 'PKIX_ECDSA_P384_SHA_384')) }),
    signature: () => {
      const bundle = bundleOf(SIGNER, statementText());
      bundle.dsseEnvelope.payload = Buffer.from(statementText(evil)).toString('base64');
      return { text: JSON.stringify(bundle), files: evil };
    },
    payloadType: () => ({ text: JSON.stringify(bundleOf(SIGNER, statementText(), 'text/plain')) }),
    statementType: () => ({ text: signed({ ...good(), _type: 'https://in-toto.io/Statement/v0.1' }) }),
    predicateType: () => ({ text: signed({ ...good(), predicateType: 'https://slsa.dev/provenance/v1' }) }),
    serialization: () => {
      const { predicate, ...statement } = good();
      const serialization = { ...predicate.serialization, method: 'shards' };
      return { text: signed({ ...statement, predicate: { ...predicate, serialization } }) };
    },
    subject: () => ({ text: signed({ ...good(), subject: [{ name: 'a-model', digest: { sha256: sha256('x') } }] }) }),
    twice: () => ({ text: signed(statementOf([...resourcesOf(FILES), ...resourcesOf(FILES)])) }),
    wholeModel: () => ({
      text: signed(statementOf(resourcesOf(new Map([...FILES, ...filesOf({ '.': 'a file' })])))),
      options: { partial: true },
    }),
    // In a folder that the signer ignored, so that being unsigned is no reason.
    digests: () => ({
      text: signed(statementOf(resourcesOf(FILES), ['onnx'])),
      files: evil,
      options: { needed: new Set() },
    }),
    missing: () => ({ text: signed(statementOf(resourcesOf(new Map([...FILES, ...filesOf({ 'a.json': 'a' })])))) }),
    unsigned: () => ({ text: goodBundle(), files: new Map([...FILES, ...filesOf({ 'evil.onnx': 'x' })]) }),
  };

  it('has an attack that it alone stops', () => {
    const { envelope, head, statement } = MODEL_SIGNING_CHECKS;
    expect(Object.keys(ATTACKS)).toEqual(Object.keys({ ...envelope, ...head, ...statement }));
  });

  it.each(Object.keys(ATTACKS))('is needed: %s', (name) => {
    const { text, files = FILES, options = {} } = (ATTACKS[name] as () => Attack)();
    expect(verify(text, files, options).status).toMatch(/invalid|unsupported/);
    // The twin without it.
    expect(verifyModelSigning(text, [SIGNER.pem], files, options, without(name)).status).toBe('valid');
  });

  it('of the shape: a lenient reader passes over what does not belong there', () => {
    const bundle = bundleOf(SIGNER, statementText());
    const odd = [
      JSON.stringify({ ...bundle, more: 'x' }),
      JSON.stringify(bundle).replace('"payload":', '"payload":"AAAA","payload":'),
      JSON.stringify(bundle).replace('"sig":"', '"sig":"\\n'),
    ];
    for (const text of odd) {
      expect(verify(text).status).toBe('invalid');
      // The twin: read by protobuf's rules and written again, it is valid.
      expect(verify(JSON.stringify(bundleToJSON(bundleFromJSON(JSON.parse(text))))).status).toBe('valid');
    }
  });

  it('of the owner’s keys: what brings its own key along convinces nobody, unless the key is taken from it', () => {
    const text = JSON.stringify(olderBundleOf(STRANGER, statementText(evil)));
    expect(verify(text, evil).status).toBe('unknown_key');
    const { rawBytes } = JSON.parse(text).verificationMaterial.publicKey;
    expect(verify(text, evil, {}, [Buffer.from(rawBytes, 'base64').toString()]).status).toBe('valid');
  });
});

describe('what is not verified here', () => {
  const bundle = bundleOf(SIGNER, statementText());
  const material = (other: unknown) => JSON.stringify({ ...bundle, verificationMaterial: other });
  const predicate = (change: object) =>
    JSON.stringify(bundleOf(SIGNER, JSON.stringify({ ...statementOf(resourcesOf(FILES)), ...change })));

  it.each([
    ['keyless', material({ certificate: { rawBytes: 'AAAA' }, tlogEntries: [{}] }), 'keyless'],
    ['certificates', material({ x509CertificateChain: { certificates: [{ rawBytes: 'AAAA' }] } }), 'certificate'],
    ['a log', material({ publicKey: { hint: SIGNER.hint }, tlogEntries: [{ logIndex: '1' }] }), 'log'],
    [
      'an older bundle',
      JSON.stringify({ ...bundle, mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2' }),
      '0.3',
    ],
    ['one file', JSON.stringify({ ...bundle, dsseEnvelope: undefined, messageSignature: {} }), 'one file'],
    ['an older statement', predicate({ predicateType: 'https://model_signing/Digests/v0.1', predicate: {} }), '1.0'],
    [
      'a single file',
      JSON.stringify(bundleOf(SIGNER, JSON.stringify(statementOf(resourcesOf(filesOf({ '.': 'x' })))))),
      'by itself',
    ],
    [
      'other digests',
      JSON.stringify(bundleOf(SIGNER, statementText().replaceAll('"algorithm": "sha256"', '"algorithm": "blake3"'))),
      'other digests',
    ],
  ])('is told apart, and not valid: %s', (_what, text, reason) => {
    expect(verify(text)).toMatchObject({ status: 'unsupported', reason: expect.stringContaining(reason) });
  });
});

describe('hostile bundles', () => {
  it('never throw, and never pass', () => {
    const good = goodBundle();
    const cut = fc
      .tuple(
        fc.nat(good.length),
        fc.nat(40),
        fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: 'binary', maxLength: 8 })),
      )
      .map(([at, length, by]) => good.slice(0, at) + by + good.slice(at + length));
    const flips = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.constantFrom(...'aB0+/"{}[],:=\\')), { minLength: 1, maxLength: 4 })
      .map((all) => all.reduce((text, [at, by]) => text.slice(0, at) + by + text.slice(at + 1), good));
    const same = (text: string): boolean => {
      try {
        return JSON.stringify(JSON.parse(text)) === JSON.stringify(JSON.parse(good));
      } catch {
        return false;
      }
    };
    fc.assert(
      fc.property(fc.oneof(cut, flips, fc.string(), fc.json()), (text) => {
        expect(verify(text).status === 'valid').toBe(same(text));
      }),
      runs(500),
    );
  });

  it('never throw for what a known key has signed, whatever it is', () => {
    const payloads = fc.oneof(
      fc.json(),
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.jsonValue().map((predicate) => JSON.stringify({ ...statementOf(resourcesOf(FILES)), predicate })),
      fc.jsonValue().map((subject) => JSON.stringify({ ...statementOf(resourcesOf(FILES)), subject })),
    );
    fc.assert(
      fc.property(payloads, (payload) => {
        expect(verify(JSON.stringify(bundleOf(SIGNER, payload))).status).not.toBe('valid');
      }),
      runs(100),
    );
  });

  it('are read up to a bound', () => {
    const many = filesOf(Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`f${index}`, `${index}`])));
    expect(verify(goodBundle(SIGNER, many), many).status).toBe('valid');
    const more = resourcesOf(many);
    const tooMany = Array.from({ length: RESOURCES_MAX + 1 }, (_, index) => ({
      ...more[index % 300],
      name: `g${index}`,
    }));
    const text = JSON.stringify(bundleOf(SIGNER, JSON.stringify(statementOf(tooMany as typeof more))));
    expect(verify(text, FILES, { partial: true })).toMatchObject({
      status: 'invalid',
      reason: expect.stringContaining('malformed'),
    });
    expect(verify(`${goodBundle()}${' '.repeat(BUNDLE_CHARS_MAX)}`).reason).toBe('It is too large.');
    expect(verify('['.repeat(BUNDLE_CHARS_MAX)).status).toBe('invalid');
  });

  it('name files without what could command a terminal', () => {
    const text = goodBundle(SIGNER, new Map([...FILES, ...filesOf({ 'a\u001b[2J\u202e': 'x' })]));
    expect(verify(text).reason).toBe('It signs "a?[2J?", which the model does not have.');
    for (const name of ['../a', '/a', 'a//b', 'a\\b', 'a'.repeat(600)]) {
      const elsewhere = goodBundle(SIGNER, new Map([...FILES, ...filesOf({ [name]: 'x' })]));
      expect(verify(elsewhere, FILES, { partial: true }).reason).toBe('The list of signed files is malformed.');
    }
  });
});

describe('the owner’s keys', () => {
  const pemOf = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

  it.each<[string, () => string]>([
    ['no key', () => 'hello'],
    ['damaged', () => SIGNER.pem.replace(/A/g, '/')],
    ['private', () => SIGNER.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['RSA', () => pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)],
    ['another curve', () => pemOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)],
    ['too many', () => SIGNER.pem.repeat(KEYS_MAX + 1)],
  ])('are refused as settings when they can’t be used: %s', (_what, pem) => {
    expect(() => verify(goodBundle(), FILES, {}, [pem()])).toThrow(
      expect.objectContaining({ code: 'config_invalid', remedy: expect.stringContaining('P-256') }),
    );
  });
});
