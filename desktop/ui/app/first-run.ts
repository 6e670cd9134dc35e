// Leads to the first run where it is due: when the app is opened at its first page on a node that has not been set up.
import { useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { useConfig, useMembers } from '../data/queries.ts';
import { isFirstRun } from './set-up.ts';

/** Once it was left, it does not come back in this window, even where nothing could be written. */
let left = false;

export const leaveFirstRun = (): void => {
  left = true;
};

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
