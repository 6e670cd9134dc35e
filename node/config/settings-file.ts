// settings.json: read with the line of whatever is wrong in it, and replaced whole. settings.ts takes its values from
// here; `weft config` and the running daemon change it.
import { readFileSync, statSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';
import { makeFolder, systemCode, unwritable, writeWhole } from './files.ts';
import { scanJson, type TextPosition } from './json-text.ts';
import { SMALL_FILE_BYTES_MAX } from './limits.ts';
import { nearest } from './nearest.ts';
import { SETTINGS, type SettingName } from './settings-table.ts';

/** Its name in the data folder. */
export const SETTINGS_FILE = 'settings.json';

/** What the file gives; its values are not checked yet. */
export interface SettingsFile {
  /** Absolute path, whether or not there is such a file. */
  readonly path: string;
  readonly values: Readonly<Partial<Record<SettingName, unknown>>>;
  /** Where the setting stands in the file; undefined for values that are not in it (yet). */
  position(name: SettingName): TextPosition | undefined;
}

/** Absolute path of the file in a data folder. */
export const settingsPath = (home: string): string => join(home, SETTINGS_FILE);

const FILE_NAMES = (Object.keys(SETTINGS) as SettingName[]).filter((name) => SETTINGS[name].inFile);

/**
 * The file as it stands; without one there are no values.
 * @throws WeftError `config_invalid` with line and column when it is no JSON object or has names that are no settings
 */
export function readSettingsFile(home: string): SettingsFile {
  const path = settingsPath(home);
  try {
    if (statSync(path).size > SMALL_FILE_BYTES_MAX) throw fault(path, 'is too large to hold settings');
    return parseSettings(path, readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof WeftError) throw error;
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { path, values: {}, position: () => undefined };
    throw fault(path, `can't be read (${code ?? 'unknown error'})`, { cause: error });
  }
}

/** Reads the text of a settings file. @throws WeftError `config_invalid` */
export function parseSettings(path: string, content: string): SettingsFile {
  const text = content.replace(/^\ufeff/, ''); // Some editors on Windows begin with it.
  const scan = scanJson(text);
  if ('fault' in scan) {
    const { position, problem } = scan.fault;
    throw fault(path, `is not JSON: ${problem}`, { position });
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fault(path, 'holds no JSON object');
  const places = new Map<string, TextPosition>();
  for (const [name, position] of scan.names) {
    refuseUnknown(path, name, position);
    if (places.has(name)) throw fault(path, `has "${name}" twice`, { position, remedy: 'Remove one of them.' });
    places.set(name, position);
  }
  return { path, values: value, position: (name) => places.get(name) };
}

/**
 * Replaces the file whole: after a crash it is the old or the new one. A link to a file elsewhere stays a link.
 * @throws WeftError `home_unwritable`
 */
export async function writeSettingsFile(home: string, values: SettingsFile['values']): Promise<void> {
  const path = settingsPath(home);
  let target = path;
  try {
    await makeFolder(home);
    target = await realpath(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw unwritable(error);
  }
  await writeWhole(target, `${JSON.stringify(values, null, 2)}\n`);
}

/**
 * The values with some of them set or, by null, removed. The order of those that were there stays.
 * @throws WeftError `config_invalid` for a name that is no setting of the file
 */
export function withChanges(file: SettingsFile, changes: Readonly<Record<string, unknown>>): SettingsFile {
  const values: Partial<Record<SettingName, unknown>> = { ...file.values };
  for (const [name, value] of Object.entries(changes)) {
    refuseUnknown(file.path, name);
    if (value === null || value === undefined) delete values[name as SettingName];
    else values[name as SettingName] = value;
  }
  return { path: file.path, values, position: () => undefined };
}

/**
 * The setting of that name. For commands; the API key is one, although the file may not hold it.
 * @throws WeftError `not_found` with the nearest name
 */
export function settingNamed(name: string): SettingName {
  if (Object.hasOwn(SETTINGS, name)) return name as SettingName;
  throw new WeftError({
    code: 'not_found',
    message: `There is no setting "${name.slice(0, 64)}".`,
    remedy: guess(name, Object.keys(SETTINGS)) ?? 'Run `weft config` to see them all.',
  });
}

function refuseUnknown(path: string, name: string, position?: TextPosition): void {
  if ((FILE_NAMES as string[]).includes(name)) return;
  if (Object.hasOwn(SETTINGS, name)) {
    const { env, flag } = SETTINGS[name as SettingName];
    throw fault(path, `may not hold "${name}"`, { position, remedy: `Set ${env} or ${flag} instead.` });
  }
  const remedy = guess(name, FILE_NAMES) ?? 'Remove it; docs/configuration.md lists every setting.';
  throw fault(path, `has an unknown setting "${name.slice(0, 64)}"`, { position, remedy });
}

function guess(name: string, names: readonly string[]): string | undefined {
  const nearby = nearest(name, names);
  return nearby === undefined ? undefined : `Did you mean "${nearby}"?`;
}

interface FaultInit {
  readonly position?: TextPosition | undefined;
  readonly remedy?: string;
  readonly cause?: unknown;
}

function fault(path: string, problem: string, { position, remedy, cause }: FaultInit = {}): WeftError {
  return new WeftError(
    {
      code: 'config_invalid',
      message: `${path}${position === undefined ? '' : `, ${placeOf(position)},`} ${problem}.`,
      remedy: remedy ?? 'Correct the file, or delete it.',
      facts: position === undefined ? {} : { line: String(position.line), column: String(position.column) },
    },
    { cause },
  );
}

/** As people say it. */
export const placeOf = ({ line, column }: TextPosition): string => `line ${line}, column ${column}`;
