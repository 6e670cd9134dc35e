// What a browser calls itself, in two words. Pure: anybody may call himself anything, so this is for telling one's own apart.
import { access as text } from '../../text/en/access.ts';
import { safeName } from '../../text/format.ts';

/** The first that matches counts: most browsers also call themselves by the names of others. */
const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bElectron\//, 'Weft app'],
  [/\bEdgA?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bFirefox\//, 'Firefox'],
  [/\b(Headless)?Chrom(e|ium)\//, 'Chromium'],
  [/\bVersion\/[\d.]+.*\bSafari\//, 'Safari'],
];

const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
];

const firstOf = (table: readonly (readonly [RegExp, string])[], agent: string): string | undefined =>
  table.find(([pattern]) => pattern.test(agent))?.[1];

/** Such as `Firefox on Linux`; what is not known is shown as it is, safely. */
export function agentText(agent: string): string {
  if (agent.trim() === '') return text.unknownAgent;
  const browser = firstOf(BROWSERS, agent);
  return browser === undefined ? safeName(agent) : text.agent(browser, firstOf(SYSTEMS, agent) ?? '');
}
