// One statement of the member list: made, signed, read and checked. What a set of them means is decided in evaluate.ts.
import { createHash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { readMessage, writeMessage } from '../../protocol/codec.ts';
import type { NodeId } from '../../protocol/ids.ts';
import {
  SignedStatementSchema,
  type Statement as StatementMessage,
  StatementSchema,
} from '../../protocol/messages/weft_pb.js';
import { assert } from '../core/assert.ts';
import type { Role } from '../core/trust.ts';
import { KEY_BYTES, publicKeyOf, SIGNATURE_BYTES, signMessage, type VerifySignature } from './ed25519.ts';
import { NAME_BYTES_MAX, REASON_BYTES_MAX, STANDS_ON_MAX, STATEMENT_BYTES_MAX } from './limits.ts';
import { cleanText } from './names.ts';
import { nodeIdOf, publicKeyOfNode } from './node-id.ts';

/** Signed together with the body, so that a signature made for anything else never counts as a statement. */
const DOMAIN = new TextEncoder().encode('weft-statement-v1\0');
const ID_BYTES = 32;

/** What a statement says. */
export type Claim =
  | { readonly kind: 'add'; readonly node: NodeId; readonly role: Role; readonly name: string }
  | { readonly kind: 'revoke'; readonly node: NodeId; readonly reason: string };

/** A statement as it is kept: whole, in a form that is well made, but not yet known to be true. */
export interface Statement {
  /** Hex sha256 of the body. The signature stays out of it: one body is one statement, however often it is signed. */
  readonly id: string;
  /** The encoded SignedStatement, as it came and as it is passed on. */
  readonly encoded: Uint8Array;
  /** Hex sha256 of the root's public key. */
  readonly meshId: string;
  /** Node id of the key that signed it; for the root's statements, the id that its key would have. */
  readonly issuer: NodeId;
  readonly claim: Claim;
  /** Ids of the statements that make the issuer an admin; empty for the root. */
  readonly standsOn: readonly string[];
  /** What the issuer's clock said. Decides between two names of a node, and nothing else. */
  readonly issuedAtMs: number;
}

/** Hex sha256. */
export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A mesh's id, in hex digits: the digest of its root public key. */
export const meshIdOf = (rootKey: Uint8Array): string => sha256Hex(rootKey);

const hexBytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** Makes and signs a statement. Names and reasons are cleaned and cut to their bound. */
export function signStatement(init: {
  readonly meshId: string;
  /** Of the issuer. */
  readonly seed: Uint8Array;
  readonly claim: Claim;
  readonly standsOn: readonly string[];
  readonly issuedAtMs: number;
}): Statement {
  const body = writeMessage(StatementSchema, {
    mesh: hexBytes(init.meshId),
    issuer: publicKeyOf(init.seed),
    kind: claimMessage(init.claim),
    standsOn: init.standsOn.map(hexBytes),
    issuedAtMs: BigInt(Math.max(0, Math.trunc(init.issuedAtMs))),
  });
  const signature = signMessage(init.seed, Buffer.concat([DOMAIN, body]));
  const statement = readStatement(writeMessage(SignedStatementSchema, { body, signature }));
  assert(statement !== undefined, 'a statement of our own is well made');
  return statement;
}

function claimMessage(claim: Claim): MessageInitShape<typeof StatementSchema>['kind'] {
  const { node } = claim;
  if (claim.kind === 'revoke') {
    return { case: 'revoke', value: { node, reason: cleanText(claim.reason, REASON_BYTES_MAX) } };
  }
  const name = cleanText(claim.name, NAME_BYTES_MAX);
  return { case: 'add', value: { node, publicKey: publicKeyOfNode(node), role: claim.role, name } };
}

/** Reads a statement from another machine. Undefined unless it is well made; its signature is not looked at. */
export function readStatement(encoded: Uint8Array): Statement | undefined {
  if (encoded.byteLength > STATEMENT_BYTES_MAX) return undefined;
  let body: Uint8Array;
  let signature: Uint8Array;
  let message: StatementMessage;
  try {
    ({ body, signature } = readMessage(SignedStatementSchema, encoded));
    message = readMessage(StatementSchema, body);
  } catch {
    return undefined; // Not protobuf, or another message's: no statement.
  }
  const { mesh, issuer, standsOn } = message;
  if (signature.byteLength !== SIGNATURE_BYTES || mesh.byteLength !== ID_BYTES) return undefined;
  if (issuer.byteLength !== KEY_BYTES || standsOn.length > STANDS_ON_MAX) return undefined;
  if (standsOn.some((id) => id.byteLength !== ID_BYTES)) return undefined;
  const claim = readClaim(message.kind);
  if (claim === undefined) return undefined;
  return {
    id: sha256Hex(body),
    encoded,
    meshId: Buffer.from(mesh).toString('hex'),
    issuer: nodeIdOf(issuer),
    claim,
    standsOn: standsOn.map((id) => Buffer.from(id).toString('hex')),
    issuedAtMs: Number(message.issuedAtMs),
  };
}

function readClaim(kind: StatementMessage['kind']): Claim | undefined {
  if (kind.case === 'add') {
    const { node, publicKey, role, name } = kind.value;
    const key = publicKeyOfNode(node);
    if (key === undefined || Buffer.compare(key, publicKey) !== 0) return undefined;
    if (role !== 'admin' && role !== 'member') return undefined;
    return { kind: 'add', node, role, name: cleanText(name, NAME_BYTES_MAX, 'unnamed') };
  }
  if (kind.case === 'revoke') {
    const { node, reason } = kind.value;
    if (publicKeyOfNode(node) === undefined) return undefined;
    return { kind: 'revoke', node, reason: cleanText(reason, REASON_BYTES_MAX) };
  }
  return undefined;
}

/** True when the issuer's key signed exactly this body. */
export function isSigned(statement: Statement, verify: VerifySignature): boolean {
  const { body, signature } = readMessage(SignedStatementSchema, statement.encoded);
  const issuer = publicKeyOfNode(statement.issuer);
  return issuer !== undefined && verify(issuer, Buffer.concat([DOMAIN, body]), signature);
}
