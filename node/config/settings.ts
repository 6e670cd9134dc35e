// The settings of a node: flag > environment > settings.json > default, each value checked, and where it came from kept.
// The only reader of the environment; bin/ and the CLI pass it in.
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, totalmem } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import { type ApiAddress, formatApiAddress, isLoopback } from './addresses.ts';
import { systemCode } from './files.ts';
import type { Environment } from './home.ts';
import { nearest } from './nearest.ts';
import { type Machine, SETTINGS, type SettingName, type SettingValue } from './settings-table.ts';

const SETTINGS_FILE = 'settings.json';

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
  /** Threads of all runners together. */
  readonly threads: number;
  /** What loaded models may take. */
  readonly memoryBytes: number;
  /** How long an idle model stays loaded; Infinity = for ever. */
  readonly keepAliveMs: number;
  /** After this much silence a peer counts as lost. */
  readonly livenessTimeoutMs: number;
  /** After this much silence a runner counts as hung. */
  readonly runnerTimeoutMs: number;
  readonly logLevel: SettingValue<'logLevel'>;
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

interface Given {
  readonly source: SettingSource;
  readonly value: unknown;
}

/**
 * Reads and checks every setting.
 * @throws WeftError `config_invalid` with the setting, where its value came from and what was expected
 */
export function loadSettings(init: SettingsInit): Settings {
  const { flags, env, home } = init;
  const machine: Machine = { home, ...(init.machine ?? thisMachine()) };
  const file = readSettingsFile(home);
  const sources = {} as Record<SettingName, SettingSource>;

  const value = <Name extends SettingName>(name: Name): SettingValue<Name> => {
    const row = SETTINGS[name];
    const given = firstGiven([
      { source: 'flag', value: flags[name] },
      // An empty variable is the shell's way of not setting one.
      { source: 'environment', value: env[row.env] || undefined },
      { source: 'file', value: file[name] },
    ]) ?? { source: 'default' as const, value: row.byDefault(machine) };
    sources[name] = given.source;
    const result = row.schema.safeParse(given.value);
    if (result.success) return result.data as SettingValue<Name>;
    throw invalid(name, given, result.error);
  };

  const settings: Settings = {
    host: value('host'),
    apiKey: value('apiKey'),
    origins: value('origins'),
    listen: value('listen'),
    announce: value('announce'),
    mdns: value('mdns'),
    name: value('name'),
    offer: value('offer'),
    models: value('models'),
    threads: value('threads'),
    memoryBytes: value('memory'),
    keepAliveMs: value('keepAlive'),
    livenessTimeoutMs: value('livenessTimeout'),
    runnerTimeoutMs: value('runnerTimeout'),
    logLevel: value('logLevel'),
    sources,
  };
  refuseOpenApi(settings);
  return settings;
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

function invalid(name: SettingName, { source, value }: Given, error: z.ZodError): WeftError {
  const { flag, env, expected } = SETTINGS[name];
  const where = { flag, environment: env, file: SETTINGS_FILE, default: 'default' }[source];
  // Never the key itself, nor more of anything than a line of the terminal.
  const shown = name === 'apiKey' ? '' : `, not ${JSON.stringify(value)?.slice(0, 80) ?? String(value)}`;
  return new WeftError(
    {
      code: 'config_invalid',
      message: `The setting "${name}" (${where}) should be ${expected}${shown}.`,
      remedy: `Correct ${source === 'file' ? `"${name}" in ${SETTINGS_FILE}` : where}; docs/configuration.md lists every setting.`,
      facts: { setting: name, source },
    },
    { cause: error },
  );
}

function readSettingsFile(home: string): Readonly<Partial<Record<SettingName, unknown>>> {
  const path = join(home, SETTINGS_FILE);
  const fault = (problem: string, cause?: unknown, remedy = 'Correct the file, or delete it.'): WeftError =>
    new WeftError({ code: 'config_invalid', message: `${path} ${problem}.`, remedy }, { cause });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return {};
    if (error instanceof SyntaxError) throw fault(`is not JSON: ${error.message}`, error);
    throw fault(`can't be read (${systemCode(error) ?? 'unknown error'})`, error);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) throw fault('holds no JSON object');
  const names = Object.keys(SETTINGS).filter((name) => SETTINGS[name as SettingName].inFile);
  for (const key of Object.keys(content)) {
    if (names.includes(key)) continue;
    if (Object.hasOwn(SETTINGS, key)) {
      const { env, flag } = SETTINGS[key as SettingName];
      throw fault(`may not hold "${key}"`, undefined, `Set ${env} or ${flag} instead.`);
    }
    const guess = nearest(key, names);
    throw fault(
      `has an unknown setting "${key.slice(0, 64)}"`,
      undefined,
      guess === undefined ? 'Remove it; docs/configuration.md lists every setting.' : `Did you mean "${guess}"?`,
    );
  }
  return content;
}
