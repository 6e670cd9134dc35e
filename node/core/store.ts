// Small documents that must survive a crash: member list, invitations, key. One folder, one daemon at a time.

export interface Store {
  /** The document, or undefined when it was never written. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Replaces the document whole: after a crash it is either the old or the new one. */
  write(name: string, bytes: Uint8Array): Promise<void>;
}
