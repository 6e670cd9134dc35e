// How settings are grouped, and which of them a search finds. Pure.
import { settings as text } from '../../text/en/settings.ts';
import type { Setting } from './editor-of.ts';

export type GroupId = keyof typeof text.groups;

/** In the order in which they are shown; what stands nowhere goes to `other`. */
const GROUPS: readonly { readonly id: GroupId; readonly names: readonly string[] }[] = [
  { id: 'node', names: ['name', 'offer', 'lend', 'preferOthers', 'share', 'managed'] },
  { id: 'models', names: ['models', 'storage', 'bring', 'offline', 'hub', 'hubToken', 'signers'] },
  {
    id: 'compute',
    names: ['device', 'threads', 'memory', 'keepAlive', 'pin', 'replicas', 'numParallel', 'exact', 'measure'],
  },
  { id: 'requests', names: ['maxQueue', 'lenient', 'rawLocal'] },
  { id: 'network', names: ['listen', 'announce', 'mdns', 'livenessTimeout', 'runnerTimeout'] },
  { id: 'api', names: ['host', 'apiKey', 'origins', 'logLevel', 'otlpEndpoint'] },
];

export interface Group {
  readonly id: GroupId;
  readonly settings: readonly Setting[];
}

export interface Wanted {
  readonly words: string;
  readonly onlyChanged: boolean;
}

/** Groups with the settings that are asked for; those without any are left out. */
export function groupsOf(settings: readonly Setting[], wanted: Wanted): readonly Group[] {
  const shown = new Map(
    settings.filter((setting) => isWanted(setting, wanted)).map((setting) => [setting.name, setting]),
  );
  const groups = GROUPS.map(
    ({ id, names }): Group => ({ id, settings: names.flatMap((name) => shown.get(name) ?? []) }),
  );
  const grouped = new Set(GROUPS.flatMap(({ names }) => names));
  const others = [...shown.values()].filter(({ name }) => !grouped.has(name));
  return [...groups, { id: 'other' as const, settings: others }].filter((group) => group.settings.length > 0);
}

function isWanted(setting: Setting, { words, onlyChanged }: Wanted): boolean {
  const { name, flag, env, source } = setting;
  if (onlyChanged && source === 'default' && !('pending' in setting)) return false;
  const haystack = [name, flag, env, titleOf(name), text.names[name]?.about].join('\n').toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => haystack.includes(word));
}

/** What a setting is called; one of a newer node by its own name. */
export const titleOf = (name: string): string => text.names[name]?.title ?? name;
