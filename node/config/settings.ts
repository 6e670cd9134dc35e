// The settings of a node: flag > environment > settings.json > default, each value checked, and where it came from kept.
// The only reader of the environment; bin/ and the CLI pass it in.
import { availableParallelism, hostname, totalmem } from 'node:os';
import type { Managed, YieldReason } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { DeviceSetting } from '../core/devices.ts';
import { type ApiAddress, formatApiAddress, isLoopback } from './addresses.ts';
import type { Environment } from './home.ts';
import type { ReplicaSetting } from './replicas.ts';
import {
  placeOf,
  readSettingsFile,
  SETTINGS_FILE,
  type SettingsFile,
  withChanges,
  writeSettingsFile,
} from './settings-file.ts';
import { type Machine, SETTINGS, type SettingName, type SettingValue } from './settings-table.ts';

/** Where a value came from. */
export type SettingSource = 'flag' | 'environment' | 'file' | 'default';

/** Checked settings. */
export interface Settings {
  /** Where the API listens; port 0 = the operating system chooses. */
  readonly host: ApiAddress;
  /** Set by flag or environment only; undefined = the one in the data folder. */
  readonly apiKey: string | undefined;
  /** Origins of pages that may call the API, besides its own. */
  readonly origins: readonly string[];
  /** Multiaddrs on which peers are awaited. */
  readonly listen: readonly string[];
  /** Multiaddrs that are announced as well, for instance of a forwarded port. */
  readonly announce: readonly string[];
  readonly mdns: boolean;
  /** What this node calls itself. */
  readonly name: string;
  /** Which models this node runs, for itself and for others. */
  readonly offer: 'all' | 'none' | readonly string[];
  /** Absolute path of a folder with further models. */
  readonly models: string;
  /** What models may take on disk; undefined = what the disk holds. */
  readonly storageBytes: number | undefined;
  /** Base URL of the hub, without a slash at its end. */
  readonly hub: string;
  /** For models that the hub gives to few; undefined = the one that the hub's own tools keep, if any. */
  readonly hubToken: string | undefined;
  /** The hub is never asked. */
  readonly offline: boolean;
  /** Whose signature a model needs: `any`: nobody's; a list: one of these node ids, keys and PEM files (absolute paths). */
  readonly signers: 'any' | 'members' | readonly string[];
  /** Whether models are fetched that requests keep asking other nodes for. */
  readonly bring: 'auto' | 'never';
  /** When this node asks the mesh to prefer others. */
  readonly preferOthers: readonly YieldReason[];
  /** Models whose requests keep what they bring on this node, by hub id or short name. */
  readonly rawLocal: readonly string[];
  /** Other members may have this node compute for them. */
  readonly lend: boolean;
  /** Members may read the files of this node's models. */
  readonly share: boolean;
  /** Whose word from another node counts as that of this one's owner. */
  readonly managed: Managed;
  /** What models run on. */
  readonly device: DeviceSetting;
  /** Threads of all runners together. */
  readonly threads: number;
  /** What loaded models may take. */
  readonly memoryBytes: number;
  /** How long an idle model stays loaded; Infinity = for ever. */
  readonly keepAliveMs: number;
  /** Models that are loaded at once and stay, by hub id or short name. */
  readonly pin: readonly string[];
  /** How many copies of models shall be in memory over the mesh; models that aren't named have as many as pay. */
  readonly replicas: readonly ReplicaSetting[];
  /** Predicted time of the work that may wait on a node; what would wait behind more is refused. */
  readonly maxQueueMs: number;
  /** Generations of one model at once. */
  readonly numParallel: number;
  /** The same request with the same seed gives the same text, whoever else is served: each answer is computed by itself. */
  readonly exact: boolean;
  /** Models are measured while the node has nothing else to do. */
  readonly measure: boolean;
  /** Unknown parameters of a request are passed over, not refused. */
  readonly lenient: boolean;
  /** After this much silence a peer counts as lost. */
  readonly livenessTimeoutMs: number;
  /** After this much silence a runner counts as hung. */
  readonly runnerTimeoutMs: number;
  readonly logLevel: SettingValue<'logLevel'>;
  /** Base URL of an OpenTelemetry collector that gets the traces; undefined = none. */
  readonly otlpEndpoint: string | undefined;
  readonly sources: Readonly<Record<SettingName, SettingSource>>;
}

export interface SettingsInit {
  /** By the names of {@link SETTINGS}; undefined = not given. Strings, or what the CLI made of them. */
  readonly flags: Readonly<Partial<Record<SettingName, unknown>>>;
  readonly env: Environment;
  /** The data folder. */
  readonly home: string;
  /** @default this machine */
  readonly machine?: Omit<Machine, 'home'>;
}

/** Under which name each setting's checked value stands in {@link Settings}. */
const FIELDS = {
  host: 'host',
  apiKey: 'apiKey',
  origins: 'origins',
  listen: 'listen',
  announce: 'announce',
  mdns: 'mdns',
  name: 'name',
  offer: 'offer',
  models: 'models',
  storage: 'storageBytes',
  hub: 'hub',
  hubToken: 'hubToken',
  offline: 'offline',
  signers: 'signers',
  bring: 'bring',
  preferOthers: 'preferOthers',
  rawLocal: 'rawLocal',
  lend: 'lend',
  share: 'share',
  managed: 'managed',
  device: 'device',
  threads: 'threads',
  memory: 'memoryBytes',
  keepAlive: 'keepAliveMs',
  pin: 'pin',
  replicas: 'replicas',
  maxQueue: 'maxQueueMs',
  numParallel: 'numParallel',
  exact: 'exact',
  measure: 'measure',
  lenient: 'lenient',
  livenessTimeout: 'livenessTimeoutMs',
  runnerTimeout: 'runnerTimeoutMs',
  logLevel: 'logLevel',
  otlpEndpoint: 'otlpEndpoint',
} as const satisfies { readonly [Name in SettingName]: keyof Settings };

/** The names of all settings, in the order of their table. */
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

interface Given {
  readonly source: SettingSource;
  readonly value: unknown;
}

/**
 * Reads and checks every setting.
 * @throws WeftError `config_invalid` with the setting, where its value came from and what was expected
 */
export function loadSettings(init: SettingsInit): Settings {
  return resolveSettings(init, readSettingsFile(init.home));
}

/**
 * Changes settings.json, whole or not at all; null removes a setting. Nothing is written unless all of it is sound.
 * @returns the settings as the next start would take them
 * @throws WeftError `config_invalid`, `home_unwritable`
 */
export async function changeSettings(
  init: SettingsInit,
  changes: Readonly<Record<string, unknown>>,
): Promise<Settings> {
  const file = withChanges(readSettingsFile(init.home), changes);
  const settings = resolveSettings(init, file);
  await writeSettingsFile(init.home, file.values);
  return settings;
}

/** A setting's checked value. */
export function settingOf<Name extends SettingName>(settings: Settings, name: Name): SettingValue<Name> {
  return settings[FIELDS[name]] as SettingValue<Name>;
}

/** The settings that run, with those taken over from others which may change while a node runs. */
export function withLive(running: Settings, next: Settings): Settings {
  const merged: Record<string, unknown> = { ...running };
  const sources = { ...running.sources };
  for (const name of SETTING_NAMES.filter((candidate) => SETTINGS[candidate].live)) {
    merged[FIELDS[name]] = settingOf(next, name);
    sources[name] = next.sources[name];
  }
  return { ...merged, sources } as unknown as Settings;
}

function resolveSettings(init: SettingsInit, file: SettingsFile): Settings {
  const { flags, env, home } = init;
  const machine: Machine = { home, ...(init.machine ?? thisMachine()) };
  const sources = {} as Record<SettingName, SettingSource>;
  const settings: Record<string, unknown> = { sources };
  for (const name of SETTING_NAMES) {
    const row = SETTINGS[name];
    const inFile: Given = { source: 'file', value: file.values[name] };
    const given = firstGiven([
      { source: 'flag', value: flags[name] },
      // An empty variable is the shell's way of not setting one.
      { source: 'environment', value: env[row.env] || undefined },
      inFile,
    ]) ?? { source: 'default' as const, value: row.byDefault(machine) };
    // What a flag hides today would end the first start without it.
    if (inFile.value !== undefined && given !== inFile) checked(name, inFile, file);
    sources[name] = given.source;
    settings[FIELDS[name]] = checked(name, given, file);
  }
  const whole = settings as unknown as Settings;
  refuseOpenApi(whole);
  return whole;
}

function checked(name: SettingName, given: Given, file: SettingsFile): unknown {
  const result = SETTINGS[name].schema.safeParse(given.value);
  if (result.success) return result.data;
  throw invalid(name, given, file);
}

function thisMachine(): Omit<Machine, 'home'> {
  return { hostname: hostname(), cores: availableParallelism(), memoryBytes: totalmem() };
}

function firstGiven(candidates: readonly Given[]): Given | undefined {
  return candidates.find(({ value }) => value !== undefined);
}

/** An API that others can reach needs a key that a person has chosen, and so knows of. */
function refuseOpenApi({ host, apiKey }: Settings): void {
  if (isLoopback(host.host) || apiKey !== undefined) return;
  throw new WeftError({
    code: 'config_invalid',
    message: `The API may not listen at ${formatApiAddress(host)}, where other machines reach it, without a key of your own.`,
    remedy: 'Set WEFT_API_KEY to a long random key, or listen on 127.0.0.1.',
    facts: { setting: 'host' },
  });
}

function invalid(name: SettingName, { source, value }: Given, file: SettingsFile): WeftError {
  const { flag, env, expected, secret } = SETTINGS[name];
  const place = source === 'file' ? file.position(name) : undefined;
  // What is to be written into the file has no place in it yet.
  const inFile = place === undefined ? undefined : `${SETTINGS_FILE}, ${placeOf(place)}`;
  const where = { flag, environment: env, file: inFile, default: 'default' }[source];
  const correction =
    where === undefined
      ? 'Give another value'
      : `Correct ${source === 'file' ? `"${name}" in ${SETTINGS_FILE}` : where}`;
  // Never a secret, nor more of anything than a line of the terminal.
  const shown = secret ? '' : `, not ${JSON.stringify(value)?.slice(0, 80) ?? String(value)}`;
  return new WeftError({
    code: 'config_invalid',
    message: `The setting "${name}"${where === undefined ? '' : ` (${where})`} should be ${expected}${shown}.`,
    remedy: `${correction}; docs/configuration.md lists every setting.`,
    facts: {
      setting: name,
      source,
      ...(place === undefined ? {} : { line: String(place.line), column: String(place.column) }),
    },
  });
}
