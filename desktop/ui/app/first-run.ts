// Whether a node has been set up: decided by what the node itself knows, not by a mark that a browser keeps. It has been once its name
// or what it offers was set by anybody (file, environment or flag), or once it is in a mesh with others.
import { useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import type { ConfigAnswer, MembersAnswer } from '../../../protocol/api/control.ts';
import { useConfig, useMembers } from '../data/queries.ts';

/** Settings that the first run asks about. */
const ASKED: readonly string[] = ['name', 'offer'];

/** Pure: nothing was chosen, and nobody else is there. */
export function isFirstRun(config: ConfigAnswer, members: MembersAnswer): boolean {
  return (
    members.members.length <= 1 &&
    config.settings
      .filter(({ name }) => ASKED.includes(name))
      .every(({ source, pending }) => source === 'default' && pending === undefined)
  );
}

/** Once it was left, it does not come back in this window, even where nothing could be written. */
let left = false;

export const leaveFirstRun = (): void => {
  left = true;
};

/** Leads to the first run where the app is opened at its first page on a node that has not been set up. */
export function useFirstRun(): void {
  const [location, navigate] = useLocation();
  const [openedAt] = useState(location);
  const { data: config } = useConfig();
  const { data: members } = useMembers();
  useEffect(() => {
    if (left || openedAt !== '/' || location !== '/' || config === undefined || members === undefined) return;
    if (isFirstRun(config, members)) navigate('/welcome', { replace: true });
  }, [openedAt, location, config, members, navigate]);
}
