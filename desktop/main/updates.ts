// Updates of the app: looked for now and then, shown, downloaded and installed only when the person says so, and never
// without a signature of whoever made this build.
import type { UpdateState } from '../shared/bridge.ts';
import type { End, UpdaterPort } from './host.ts';
import { UPDATE_CHECK_MS, UPDATE_FIRST_CHECK_MS } from './limits.ts';
import type { Log } from './log.ts';
import { shownText } from './text.ts';
import { isSigned } from './update-signature.ts';

export interface UpdatesComponents {
  readonly updater: UpdaterPort;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** There is one that the person may want. */
  readonly onAvailable: (version: string) => void;
  /** Tests leave the check out to show what it stops. @default isSigned */
  readonly isSigned?: typeof isSigned;
}

export interface UpdatesInit {
  /** Ed25519 key of whoever made this build, base64; undefined in a build that can check nothing. */
  readonly publicKey: string | undefined;
  /** False in development: there is nothing to replace. */
  readonly packaged: boolean;
}

export class Updates {
  readonly #components: UpdatesComponents;
  readonly #init: UpdatesInit;
  readonly #listeners = new Set<() => void>();
  #state: UpdateState;
  #busy = false;
  #timer: NodeJS.Timeout | undefined;
  #announced: string | undefined;

  constructor(components: UpdatesComponents, init: UpdatesInit) {
    this.#components = components;
    this.#init = init;
    const off = !init.packaged
      ? 'This is no installed app: it is updated where it was built.'
      : 'This build has no key to check updates with: install a newer one by hand.';
    this.#state = init.packaged && init.publicKey !== undefined ? { phase: 'idle' } : { phase: 'off', detail: off };
  }

  get state(): UpdateState {
    return this.#state;
  }

  onChange(listener: () => void): End {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks now and then from here on. */
  start(): void {
    if (this.#state.phase !== 'off') this.#checkIn(UPDATE_FIRST_CHECK_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Looks for a newer version. Never rejects: what goes wrong is in the state. */
  async check(): Promise<void> {
    const { phase } = this.#state;
    if (this.#busy || phase === 'off' || phase === 'downloading' || phase === 'ready') return;
    await this.#attempt('The update could not be looked for', async () => {
      this.#show({ phase: 'checking' });
      const { updater, wallNow, onAvailable, isSigned: check = isSigned } = this.#components;
      const offer = await updater.check();
      if (offer === undefined) {
        this.#show({ phase: 'idle', checkedAtMs: wallNow() });
        return;
      }
      if (!check(offer, this.#init.publicKey ?? '')) {
        throw new Error('The feed is not signed by the maker of this app. Nothing was downloaded.');
      }
      const version = shownText(offer.version);
      this.#show({ phase: 'available', version });
      if (this.#announced === version) return;
      this.#announced = version;
      onAvailable(version);
    });
  }

  /** Downloads what was found. @throws Error when there is nothing to download */
  async download(): Promise<void> {
    if (this.#state.phase !== 'available' || this.#busy) throw new Error('There is no update to download.');
    const { version } = this.#state;
    await this.#attempt('The update could not be downloaded', async () => {
      this.#show({ phase: 'downloading', version, fraction: 0 });
      await this.#components.updater.download((fraction) =>
        this.#show({ phase: 'downloading', version, fraction: Math.max(0, Math.min(1, fraction)) }),
      );
      this.#show({ phase: 'ready', version });
    });
  }

  /** Ends the app and installs what was downloaded. @throws Error when nothing was */
  install(): void {
    if (this.#state.phase !== 'ready') throw new Error('There is no update to install.');
    this.#components.updater.install();
  }

  async #attempt(what: string, attempt: () => Promise<void>): Promise<void> {
    this.#busy = true;
    try {
      await attempt();
    } catch (error) {
      this.#components.log.warn({ error }, what);
      const why = error instanceof Error ? error.message : String(error);
      this.#show({ phase: 'failed', detail: shownText(`${what}: ${why}`) });
    } finally {
      this.#busy = false;
    }
  }

  #checkIn(ms: number): void {
    this.#timer = setTimeout(() => void this.check().then(() => this.#checkIn(UPDATE_CHECK_MS)), ms);
    this.#timer.unref();
  }

  #show(state: UpdateState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener();
  }
}
