// The conversations by the day on which something was last said in them. Pure.
import { text } from '../../text/en.ts';
import type { Listed } from './chat-data.ts';

export interface ListGroup {
  readonly title: string;
  readonly conversations: readonly Listed[];
}

/** Newest first, and in a group in the order in which they come. Groups without any are left out. */
export function byDay(conversations: readonly Listed[], nowMs: number): readonly ListGroup[] {
  const today = new Date(nowMs).setHours(0, 0, 0, 0);
  const yesterday = daysBefore(today, 1);
  const week = daysBefore(today, 6);
  const groups = new Map<string, Listed[]>();
  for (const conversation of conversations) {
    const { updatedAtMs } = conversation;
    const title =
      updatedAtMs >= today
        ? text.chat.today
        : updatedAtMs >= yesterday
          ? text.chat.yesterday
          : updatedAtMs >= week
            ? text.chat.week
            : text.chat.earlier;
    const group = groups.get(title);
    if (group === undefined) groups.set(title, [conversation]);
    else group.push(conversation);
  }
  return [text.chat.today, text.chat.yesterday, text.chat.week, text.chat.earlier].flatMap((title) => {
    const listed = groups.get(title);
    return listed === undefined ? [] : [{ title, conversations: listed }];
  });
}

/** Days are 23 to 25 hours long. */
function daysBefore(midnightMs: number, days: number): number {
  const day = new Date(midnightMs);
  return day.setDate(day.getDate() - days);
}
