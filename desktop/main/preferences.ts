// What a person prefers of the app on this machine. The node's own settings are in its data folder, not here.
import { join } from 'node:path';
import { z } from 'zod';
import type { Preferences } from '../shared/bridge.ts';
import { readJson, writeJson } from './small-file.ts';

export const PREFERENCES_FILE = 'preferences.json';

const fields = {
  startAtLogin: z.boolean(),
  pauseOnBattery: z.boolean(),
  pauseOnMetered: z.boolean(),
  pauseWhileWorking: z.boolean(),
  notifications: z.boolean(),
  theme: z.enum(['system', 'light', 'dark']),
};

/** Changes as a page sends them: nothing that isn't known, nothing of another type. */
export const PreferenceChanges = z.strictObject(fields).partial();

/** Sharing is what the app is for; a bill for bytes is what nobody wants. */
const DEFAULTS: Preferences = {
  startAtLogin: false,
  pauseOnBattery: true,
  pauseOnMetered: true,
  pauseWhileWorking: false,
  notifications: true,
  theme: 'system',
};

/** A file of another version may say less, or more. */
const Stored = z.object(fields).partial().extend({ pausedByHand: z.boolean().optional() });

export interface PreferencesInit {
  readonly folder: string;
  /** Start at login is the system's own setting: it is read there. */
  readonly startsAtLogin: () => boolean;
}

export class PreferenceBook {
  readonly #init: PreferencesInit;
  readonly #path: string;
  #stored: z.infer<typeof Stored>;

  constructor(init: PreferencesInit) {
    this.#init = init;
    this.#path = join(init.folder, PREFERENCES_FILE);
    this.#stored = readJson(this.#path, Stored) ?? {};
  }

  get preferences(): Preferences {
    const { pausedByHand: _byHand, ...stored } = this.#stored;
    return { ...DEFAULTS, ...stored, startAtLogin: this.#init.startsAtLogin() };
  }

  /** A pause by hand lasts until it is ended by hand, over restarts of the app. */
  get pausedByHand(): boolean {
    return this.#stored.pausedByHand ?? false;
  }

  /** @throws the system's error where they can't be kept */
  change(changes: Partial<Preferences> & { readonly pausedByHand?: boolean }): void {
    const { startAtLogin: _system, ...kept } = changes;
    this.#stored = { ...this.#stored, ...kept };
    writeJson(this.#path, this.#stored);
  }
}
