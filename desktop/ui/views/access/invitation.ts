// An invitation as the page has it: how it is passed on, and who has come in by it. Pure.
import type { InvitationAnswer, MembersAnswer } from '../../../../protocol/api/control.ts';
import { LINK_SCHEME } from '../../../shared/bridge.ts';

type Member = MembersAnswer['members'][number];

export interface OpenInvitation extends InvitationAnswer {
  /** Ids of those who were members when it was made. */
  readonly before: ReadonlySet<string>;
}

export const inviteCommand = ({ ticket }: InvitationAnswer): string => `weft join ${ticket}`;

/** Opens the desktop app. */
export const inviteLink = ({ ticket }: InvitationAnswer): string => `${LINK_SCHEME}://join/${ticket}`;

/** Members that were none when it was made. A node doesn't tell by which of its invitations somebody came in. */
export const cameIn = ({ before }: OpenInvitation, { members }: MembersAnswer): readonly Member[] =>
  members.filter(({ node }) => !before.has(node));

/** Such as `23:59:04`, `04:59`; with days in front where there are some. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1_000));
  const pad = (value: number): string => String(value).padStart(2, '0');
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  const rest = `${pad(minutes)}:${pad(seconds % 60)}`;
  if (days > 0) return `${days} d ${pad(hours)}:${rest}`;
  return hours > 0 ? `${pad(hours)}:${rest}` : rest;
}

/** What a person types to confirm: the name, or the end of the id where the name can't be typed or is another's, too. */
export function confirmWord({ node, name }: Pick<Member, 'node' | 'name'>, members: readonly Member[]): string {
  const plain = name.trim();
  const typed = /^[\p{L}\p{N}\p{P}\p{S} ]{1,40}$/u.test(plain);
  const alone = members.filter((member) => member.name === name).length <= 1;
  return typed && alone ? plain : node.slice(-8);
}
