// Every bound of this layer, in one place. What a peer or a person sends is held against these before it is kept.

/** Encoded bytes of one signed statement. A real one has about 350: three keys, a signature, a name, a reference. */
export const STATEMENT_BYTES_MAX = 512;

/**
 * Statements that add members. With the revocations, a whole list has at most 512 KiB: half of the 1 MiB that the header
 * of a `sync` may have, the rest is for adverts.
 */
export const ADD_STATEMENTS_MAX = 768;

/** Statements that revoke. Counted apart, so that a list full of members can still throw one out. */
export const REVOKE_STATEMENTS_MAX = 256;

/** Statements that came before the one they stand on. A peer sends its list in order, so more than a few mean mischief. */
export const WAITING_STATEMENTS_MAX = 256;

/** Forged statements in one merge, after which the rest of it is not looked at: an honest peer never sends one. */
export const FORGED_PER_MERGE_MAX = 8;

/** Statements that one statement may stand on. One is enough; more keep it standing when one of them falls. */
export const STANDS_ON_MAX = 2;

/** UTF-8 bytes of a device's or a mesh's name. A host name has up to 63. */
export const NAME_BYTES_MAX = 64;

/** UTF-8 bytes of the reason for a revocation. */
export const REASON_BYTES_MAX = 96;

/** Characters of a ticket's text. Eight long addresses need about 1,300. */
export const TICKET_LENGTH_MAX = 2_048;

/** Addresses in a ticket: a laptop with several networks and both IP versions has about six. */
export const TICKET_ADDRESSES_MAX = 8;

/** Characters of one address: a DNS name of 253 and its /p2p/ part fit. */
export const ADDRESS_LENGTH_MAX = 340;

/** Bytes of a ticket's secret: 128 bits can't be guessed, online or off. */
export const SECRET_BYTES = 16;

/** Bytes of a ticket's id. */
export const TICKET_ID_BYTES = 8;

/** Bytes of each side's nonce. */
export const NONCE_BYTES = 32;

/** How long a ticket may live: a week. Longer ones are forgotten in chats and notes. */
export const TICKET_TTL_MS_MAX = 7 * 24 * 3_600_000;

/** Clocks of two machines may differ by this much before a ticket counts as expired. */
export const EXPIRY_TOLERANCE_MS = 30_000;

/** Invitations open at a time. */
export const OPEN_INVITATIONS_MAX = 16;

/** Invitations remembered, the used and void ones included, until they expire. */
export const KEPT_INVITATIONS_MAX = 64;

/** Wrong proofs after which an invitation is void. A mistyped ticket fails at its checksum, so a wrong proof is no slip. */
export const FAILED_PROOFS_MAX = 3;

/** Hellos that await their proof, over all invitations. */
export const PENDING_HELLOS_MAX = 64;
