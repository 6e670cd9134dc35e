// What `weft config` shows: every setting, its value as a person would write it, and where that came from.
import type { ConfigReport, SettingReport } from '../core/control.ts';
import { SETTING_NAMES, type Settings, settingOf } from './settings.ts';
import { settingsPath } from './settings-file.ts';
import { SETTINGS, type SettingName } from './settings-table.ts';

export interface ReportInit {
  /** The data folder. */
  readonly home: string;
  readonly settings: Settings;
  /** What the next start would take, by a running daemon. @default settings */
  readonly next?: Settings | undefined;
  /** What is wrong with settings.json. */
  readonly problem?: string | undefined;
}

/** All settings, in the order of their table. */
export function reportSettings(init: ReportInit): ConfigReport {
  const { home, settings, next = settings, problem } = init;
  return {
    file: settingsPath(home),
    ...(problem === undefined ? {} : { problem }),
    settings: SETTING_NAMES.map((name) => describe(name, settings, next)),
  };
}

/** A setting's value as a person would write it; null = none. Never a secret. */
export function shown<Name extends SettingName>(settings: Settings, name: Name): unknown {
  // Each row shows what its own schema gives, which the compiler can't tie together over all rows.
  const show = SETTINGS[name].show as (value: unknown) => unknown;
  return show(settingOf(settings, name));
}

function describe(name: SettingName, settings: Settings, next: Settings): SettingReport {
  const { flag, env, expected, live, local } = SETTINGS[name];
  const value = shown(settings, name);
  const coming = shown(next, name);
  return {
    name,
    value,
    source: settings.sources[name],
    flag,
    env,
    expected,
    live,
    ...(local ? { local } : {}),
    ...(JSON.stringify(coming) === JSON.stringify(value) ? {} : { pending: coming }),
  };
}
