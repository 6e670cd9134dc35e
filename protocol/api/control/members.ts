// Who belongs to the mesh, and how one comes to belong and ceases to.
import { z } from 'zod';

const Member = z.object({ node: z.string(), name: z.string(), role: z.string() });

/** `GET /api/v1/members`. */
export const MembersAnswer = z.object({ members: z.array(Member) });
export type MembersAnswer = z.infer<typeof MembersAnswer>;

/** Invitations end: a day to send the ticket to a person, a week at the most. */
export const INVITATION_SECONDS = { min: 1, usual: 86_400, max: 604_800 } as const;

/** Tickets are one word of a few hundred characters, more with many addresses in them. */
export const TICKET_LENGTH_MAX = 16_384;

const TTL_TEXT = `must be an integer from ${INVITATION_SECONDS.min} to ${INVITATION_SECONDS.max}`;

/** `POST /api/v1/invitations`. */
export const InvitationRequest = z.strictObject({
  ttl_seconds: z.int(TTL_TEXT).min(INVITATION_SECONDS.min, TTL_TEXT).max(INVITATION_SECONDS.max, TTL_TEXT).optional(),
});
export type InvitationRequest = z.infer<typeof InvitationRequest>;

/** Its answer. */
export const InvitationAnswer = z.object({ id: z.string(), ticket: z.string(), expiresAtMs: z.number() });
export type InvitationAnswer = z.infer<typeof InvitationAnswer>;

/** `GET /api/v1/invitations`: those that nobody has used yet; their tickets are not shown again. */
export const InvitationsAnswer = z.object({
  invitations: z.array(z.object({ id: z.string(), expiresAtMs: z.number() })),
});
export type InvitationsAnswer = z.infer<typeof InvitationsAnswer>;

/** `DELETE /api/v1/invitations/{id}`. */
export const InvitationCancelled = z.object({ cancelled: z.literal(true) });
export type InvitationCancelled = z.infer<typeof InvitationCancelled>;

/** `POST /api/v1/join`. */
export const JoinRequest = z.strictObject({
  ticket: z
    .string('must be a ticket')
    .min(1, 'must be a ticket')
    .max(TICKET_LENGTH_MAX, `must have at most ${TICKET_LENGTH_MAX} characters`),
});
export type JoinRequest = z.infer<typeof JoinRequest>;

/** Its answer. */
export const JoinAnswer = z.object({ mesh: z.string(), members: z.array(Member) });
export type JoinAnswer = z.infer<typeof JoinAnswer>;

/** Longer ones name no member. */
const MEMBER_NAME_LENGTH_MAX = 256;

/** What is kept of a reason is shorter still: node/trust/limits.ts. */
const REASON_LENGTH_MAX = 256;

/** `POST /api/v1/members/revoke`. */
export const RevokeRequest = z.strictObject({
  /** Node id, or the name where one member alone has it. */
  member: z
    .string('must be the node id or the name of a member')
    .min(1, 'must be the node id or the name of a member')
    .max(MEMBER_NAME_LENGTH_MAX, `must have at most ${MEMBER_NAME_LENGTH_MAX} characters`),
  /** Kept with the revocation; every member can read it. */
  reason: z
    .string('must be a text')
    .max(REASON_LENGTH_MAX, `must have at most ${REASON_LENGTH_MAX} characters`)
    .optional(),
});
export type RevokeRequest = z.infer<typeof RevokeRequest>;

/** Its answer: who is out now. */
export const RevokeAnswer = z.object({ revoked: Member });
export type RevokeAnswer = z.infer<typeof RevokeAnswer>;
