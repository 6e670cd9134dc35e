// Whether a node has been set up: decided by what the node itself knows, not by a mark that a browser keeps. It has been once its name,
// what it offers, whether it computes for others or shares files was set by anybody (file, environment or flag), or once it is in a mesh with others. Pure.
import type { ConfigAnswer, MembersAnswer } from '../../../protocol/api/control.ts';

/** Settings that the first run asks about. */
const ASKED: readonly string[] = ['name', 'offer', 'lend', 'share'];

/** Whether the first run asks about a setting. */
export const isAsked = (setting: string): boolean => ASKED.includes(setting);

/** Nothing was chosen, and nobody else is there. */
export function isFirstRun(config: ConfigAnswer, members: MembersAnswer): boolean {
  return (
    members.members.length <= 1 &&
    config.settings
      .filter(({ name }) => isAsked(name))
      .every(({ source, pending }) => source === 'default' && pending === undefined)
  );
}
