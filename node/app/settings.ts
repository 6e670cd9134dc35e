// The settings of a running node: settings.json is watched, and what may change while the node runs does at once; the
// rest is reported as pending until the next start. The composition root gives each part what it works by.
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { toWeftError } from '../../protocol/errors.ts';
import { systemCode } from '../config/files.ts';
import { SETTINGS_QUIET_MS, SETTINGS_RECHECK_MS, SETTINGS_SETTLE_MS } from '../config/limits.ts';
import { changeSettings, loadSettings, type Settings, type SettingsInit, withLive } from '../config/settings.ts';
import { SETTINGS_FILE, settingsPath } from '../config/settings-file.ts';
import { reportSettings } from '../config/settings-report.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { ConfigReport } from '../core/control.ts';
import type { Log } from '../core/log.ts';

export interface LiveSettingsComponents {
  readonly clock: Clock;
  readonly log: Log;
}

/** What the node was started with; its flags and environment go on to hide what the file says. */
export interface LiveSettingsInit extends SettingsInit {
  readonly settings: Settings;
}

/** Which file was last looked at: another one, or another content, has another mark. */
type Mark = string;

export class LiveSettings {
  readonly #components: LiveSettingsComponents;
  readonly #init: SettingsInit;
  readonly #listeners = new Set<(settings: Settings) => void>();
  #running: Settings;
  /** As the next start would take them. */
  #next: Settings;
  #problem: string | undefined;
  #watcher: FSWatcher | undefined;
  #soon: Timer | undefined;
  #recheck: Timer | undefined;
  #mark: Mark | undefined;
  #started = false;
  /** Looks and changes are made one after the other. */
  #lastStep: Promise<unknown> = Promise.resolve();

  constructor(components: LiveSettingsComponents, init: LiveSettingsInit) {
    this.#components = components;
    this.#init = init;
    this.#running = init.settings;
    this.#next = init.settings;
  }

  /** What the node works by now. */
  get settings(): Settings {
    return this.#running;
  }

  /** Every setting, and what is wrong with the file. */
  report(): ConfigReport {
    const { home } = this.#init;
    return reportSettings({ home, settings: this.#running, next: this.#next, problem: this.#problem });
  }

  /**
   * Changes settings.json, whole or not at all; null removes a setting. What may change while the node runs has changed
   * when this resolves.
   * @throws WeftError `config_invalid`, `home_unwritable`
   */
  change(changes: Readonly<Record<string, unknown>>): Promise<ConfigReport> {
    return this.#inOrder(async () => {
      const next = await changeSettings(this.#init, changes);
      this.#mark = await this.#fileMark();
      this.#adopt(next);
      return this.report();
    });
  }

  /** Calls back with all settings after each change of what the node works by. Returns what ends the subscription. */
  onChange(listener: (settings: Settings) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Watches the file, whoever edits it. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    try {
      // The folder, not the file: an editor that replaces the file would leave the watch on the old one.
      this.#watcher = watch(this.#init.home, { persistent: false }, (_event, name) => {
        if (name === null || name === SETTINGS_FILE) this.#lookSoon(SETTINGS_QUIET_MS);
      });
      this.#watcher.on('error', (error) => this.#unwatched(error));
    } catch (error) {
      this.#unwatched(error);
    }
    this.#lookSoon(0);
    this.#lookAgain();
  }

  /** Resolves once the last look has ended. */
  async stop(): Promise<void> {
    this.#started = false;
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#soon?.cancel();
    this.#recheck?.cancel();
    await this.#lastStep;
  }

  #unwatched(error: unknown): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#components.log.info(
      { error: systemCode(error) },
      'settings.json is looked at now and then: no watch is to be had',
    );
  }

  #lookAgain(): void {
    this.#recheck = this.#components.clock.after(SETTINGS_RECHECK_MS, () => {
      this.#lookSoon(0);
      this.#lookAgain();
    });
  }

  #lookSoon(waitMs: number, isSecondLook = false): void {
    if (!this.#started) return;
    this.#soon?.cancel();
    this.#soon = this.#components.clock.after(waitMs, () => void this.#inOrder(() => this.#look(isSecondLook)));
  }

  async #look(isSecondLook: boolean): Promise<void> {
    const mark = await this.#fileMark();
    if (mark === this.#mark && !isSecondLook) return;
    this.#mark = mark;
    try {
      this.#adopt(loadSettings(this.#init));
    } catch (error) {
      if (isSecondLook) this.#keep(toWeftError(error).message);
      else this.#lookSoon(SETTINGS_SETTLE_MS, true);
    }
  }

  #keep(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#components.log.warn({ problem }, 'settings.json is not taken over: the node goes on with what it had');
  }

  #adopt(next: Settings): void {
    this.#problem = undefined;
    this.#next = next;
    const running = withLive(this.#running, next);
    const changed = JSON.stringify(running) !== JSON.stringify(this.#running);
    this.#running = running;
    if (!changed) return;
    this.#components.log.info({ file: SETTINGS_FILE }, 'settings have changed');
    for (const listener of [...this.#listeners]) {
      try {
        listener(running);
      } catch (error) {
        this.#components.log.error({ error }, 'a part of the node did not take over its settings');
      }
    }
  }

  async #fileMark(): Promise<Mark> {
    try {
      const { ino, size, mtimeNs } = await stat(settingsPath(this.#init.home), { bigint: true });
      return `${ino} ${size} ${mtimeNs}`;
    } catch (error) {
      return systemCode(error) ?? 'unreadable';
    }
  }

  #inOrder<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#lastStep.then(step);
    this.#lastStep = done.catch(() => undefined); // Its caller hears of it; the next step goes on.
    return done;
  }
}
