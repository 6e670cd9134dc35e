// Whether a model's signers are enough for the owner of this node: the setting `signers`. A pure decision; who has signed
// was found out in manifest-signature.ts and openssf.ts.
import { WeftError } from '../../protocol/errors.ts';
import { NAMED_MAX } from './limits.ts';
import { comparableKey } from './signer-key.ts';

/**
 * Whose models are taken. `any`: everyone's, signed or not. `members`: what a member of this mesh has signed. A list: what
 * one of these keys has signed: node ids, `ed25519:HEX`, `openssf:HEX`.
 */
export type SignersSetting = 'any' | 'members' | readonly string[];

export interface SignersInit {
  /** The model's name, for messages. */
  readonly model: string;
  readonly setting: SignersSetting;
  /** Members of the mesh, this node included: node id → name. */
  readonly members: ReadonlyMap<string, string>;
  /** Keys whose signatures were verified, of either format. */
  readonly signed: readonly { readonly key: string }[];
  /** What is wrong with signatures that were found and are not valid, one sentence each. */
  readonly invalid: readonly string[];
}

/** Who signed; has the shape of the library port's SignerReport. */
export interface JudgedSigner {
  readonly key: string;
  readonly name: string | undefined;
  readonly standing: 'member' | 'listed' | 'unknown';
}

export interface SignersVerdict {
  readonly signers: readonly JudgedSigner[];
  /** For the person who pulls; empty where there is a refusal. */
  readonly warnings: readonly string[];
  /** `signature_invalid`; undefined = the model may be taken. */
  readonly refusal: WeftError | undefined;
}

/** Judges the signatures that were found beside a model. */
export function judgeSigners(init: SignersInit): SignersVerdict {
  const { model, setting, invalid } = init;
  const signers = standings(init);
  if (setting === 'any') {
    const warnings = invalid.map(
      (reason) => `A signature beside ${model} is not valid and counts for nothing: ${reason}`,
    );
    return { signers, warnings, refusal: undefined };
  }
  const refusal = refusalOf(init, setting, signers);
  return { signers, warnings: [], refusal };
}

function standings({ setting, members, signed }: SignersInit): JudgedSigner[] {
  const listed = keySet(typeof setting === 'string' ? [] : setting);
  const names = new Map([...members].map(([node, name]) => [comparableKey(node), name]));
  const seen = new Set<string>();
  return signed.flatMap(({ key }): JudgedSigner[] => {
    const same = comparableKey(key);
    if (same === undefined || seen.size === seen.add(same).size) return [];
    const name = names.get(same);
    const standing = listed.has(same) ? 'listed' : names.has(same) ? 'member' : 'unknown';
    return [{ key, name, standing }];
  });
}

const keySet = (keys: readonly string[]): ReadonlySet<string | undefined> => {
  const set = new Set(keys.map(comparableKey));
  set.delete(undefined); // An entry that names no key lets nobody in.
  return set;
};

function refusalOf(
  { model, invalid }: SignersInit,
  setting: Exclude<SignersSetting, 'any'>,
  signers: readonly JudgedSigner[],
): WeftError | undefined {
  const wanted = setting === 'members' ? 'a member of this mesh' : oneOf(setting);
  const facts = { model, signed: signers.map(({ key }) => key).join(' '), wanted };
  if (invalid.length > 0) {
    return new WeftError({
      code: 'signature_invalid',
      message: `A signature beside ${model} is not valid: ${invalid[0]} ${who(signers)}`,
      remedy:
        'Take the model from a source that you trust; it, or its signature, was changed on the way or at the source.',
      facts,
    });
  }
  const standing = setting === 'members' ? 'member' : 'listed';
  if (signers.some((signer) => signer.standing === standing)) return undefined;
  return new WeftError({
    code: 'signature_invalid',
    message: `${who(signers)} The setting "signers" wants ${model} to be signed by ${wanted}.`,
    remedy: remedyOf(setting, signers),
    facts,
  });
}

function who(signers: readonly JudgedSigner[]): string {
  if (signers.length === 0) return 'Nobody has validly signed it.';
  return `It is signed by ${some(
    signers.map(({ key, name }) => (name === undefined ? key : `${name} (${key})`)),
    'and',
  )}.`;
}

function oneOf(keys: readonly string[]): string {
  return keys.length === 0 ? 'a key that is listed, and none is' : some(keys, 'or');
}

/** The first few of these, for a sentence. */
function some(items: readonly string[], word: 'and' | 'or'): string {
  const named = items.slice(0, NAMED_MAX);
  const more = items.length - named.length;
  return more === 0 ? named.join(` ${word} `) : `${named.join(', ')} ${word} ${more} more`;
}

function remedyOf(setting: 'members' | readonly string[], signers: readonly JudgedSigner[]): string {
  const [first] = signers;
  if (first === undefined) {
    return 'Take the model from a node or a publisher that signs it, or set "signers" to "any" if you trust where it comes from.';
  }
  return setting === 'members'
    ? `If you trust ${first.key}, list it in the setting "signers" instead of "members".`
    : `If you trust ${first.key}, add it to the list in the setting "signers".`;
}
