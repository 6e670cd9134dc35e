// Names for the things that cross processes. Used by every layer.

/** A node's libp2p peer id, as text ("12D3KooW…"). It is the hash of the device's public key. */
export type NodeId = string;

/** Follows one request through every node that works on it ("req_" + 24 base-36 characters). */
export type RequestId = string;

/** Which bytes of which model: two nodes whose digests agree hold the same files. */
export interface ModelRef {
  /** The hub's repository id, `owner/name`. */
  readonly id: string;
  /** `sha256:` and 64 hex digits: digest of the manifest's canonical JSON. */
  readonly digest: string;
}
