// When this machine shares nothing: asked for by hand, on battery, on a network that is paid by the byte, while somebody
// works here. Looks, decides, and tells the node; tells it again after every start, since a node forgets.
import type { PauseReason, Preferences } from '../shared/bridge.ts';
import type { End, PowerPort } from './host.ts';
import { IDLE_LOOK_MS, NETWORK_LOOK_MS, RESTING_SECONDS_MIN, SHARING_RETRY_MS, WORKING_SECONDS_MAX } from './limits.ts';
import type { Log } from './log.ts';

/** How things stand on this machine. */
export interface Circumstances {
  readonly byHand: boolean;
  readonly onBattery: boolean;
  /** Undefined where nobody can say. */
  readonly metered: boolean | undefined;
  readonly working: boolean;
}

/** Why sharing is to pause now; nothing most of the time. */
export function pauseReasons(
  { byHand, onBattery, metered, working }: Circumstances,
  preferences: Pick<Preferences, 'pauseOnBattery' | 'pauseOnMetered' | 'pauseWhileWorking'>,
): readonly PauseReason[] {
  return [
    ...(byHand ? (['hand'] as const) : []),
    ...(preferences.pauseOnBattery && onBattery ? (['battery'] as const) : []),
    ...(preferences.pauseOnMetered && metered === true ? (['metered'] as const) : []),
    ...(preferences.pauseWhileWorking && working ? (['working'] as const) : []),
  ];
}

/** Somebody works from the first touch until a good while after the last: a pause that flutters helps nobody. */
export function isWorking(before: boolean, idleSeconds: number): boolean {
  return before ? idleSeconds < RESTING_SECONDS_MIN : idleSeconds < WORKING_SECONDS_MAX;
}

export interface PausingComponents {
  readonly power: PowerPort;
  readonly log: Log;
  readonly preferences: () => Preferences;
  readonly byHand: () => boolean;
  readonly isMetered: () => Promise<boolean | undefined>;
  /** Tells the node. @throws Error when it can't be told */
  readonly tellNode: (paused: boolean) => Promise<void>;
}

/** What a person sees of it. */
export interface SharingView {
  readonly sharing: 'on' | 'paused';
  readonly pausedBy: readonly PauseReason[];
  /** Why the node doesn't do what it should. */
  readonly sharingDetail?: string;
}

/** Tests shorten the waits. */
export interface PausingLimits {
  readonly idleLookMs: number;
  readonly networkLookMs: number;
  readonly retryMs: number;
}

export class Pausing {
  readonly #components: PausingComponents;
  readonly #limits: PausingLimits;
  readonly #listeners = new Set<() => void>();
  readonly #ends: End[] = [];
  #metered: boolean | undefined;
  #mayBeMetered = true;
  #working = false;
  #reasons: readonly PauseReason[] = [];
  #detail: string | undefined;
  /** What the node was told last; undefined for one that was told nothing yet. */
  #told: boolean | undefined;
  #nodeServes = false;
  #telling: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(components: PausingComponents, limits: Partial<PausingLimits> = {}) {
    this.#components = components;
    this.#limits = {
      idleLookMs: IDLE_LOOK_MS,
      networkLookMs: NETWORK_LOOK_MS,
      retryMs: SHARING_RETRY_MS,
      ...limits,
    };
  }

  get view(): SharingView {
    return {
      sharing: this.#reasons.length > 0 ? 'paused' : 'on',
      pausedBy: this.#reasons,
      ...(this.#detail === undefined ? {} : { sharingDetail: this.#detail }),
    };
  }

  /** Calls back with each change of what is seen. */
  onChange(listener: () => void): End {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    const { power } = this.#components;
    const look = (): void => this.look();
    const network = (): void => void this.#lookAtNetwork();
    const idle = setInterval(look, this.#limits.idleLookMs);
    const net = setInterval(network, this.#limits.networkLookMs);
    this.#ends.push(
      power.onBatteryChange(look),
      power.onResume(network),
      () => clearInterval(idle),
      () => clearInterval(net),
    );
    network();
    look();
  }

  /** A pause that this app asked for ends with it, but for one by hand: that one was meant. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const end of this.#ends.splice(0)) end();
    clearTimeout(this.#retry);
    await this.#telling;
    if (this.#told !== true || this.#reasons.includes('hand') || !this.#nodeServes) return;
    await this.#components.tellNode(false).catch(() => undefined); // It may have ended first.
  }

  /** The node serves from now on, or again, and knows of no pause; or it doesn't any more. */
  nodeServes(serves: boolean): void {
    this.#nodeServes = serves;
    this.#told = undefined;
    if (serves) this.#tell();
  }

  /** Looks at how things stand; also after a preference has changed. */
  look(): void {
    const { power, preferences, byHand } = this.#components;
    this.#working = isWorking(this.#working, power.idleSeconds());
    const circumstances: Circumstances = {
      byHand: byHand(),
      onBattery: power.onBattery(),
      metered: this.#metered,
      working: this.#working,
    };
    const reasons = pauseReasons(circumstances, preferences());
    const changed = reasons.join() !== this.#reasons.join();
    this.#reasons = reasons;
    if (changed) this.#changed();
    this.#tell();
  }

  async #lookAtNetwork(): Promise<void> {
    const { preferences, isMetered } = this.#components;
    if (!this.#mayBeMetered || !preferences().pauseOnMetered) return;
    this.#metered = await isMetered();
    if (this.#metered === undefined) this.#mayBeMetered = false;
    if (!this.#stopped) this.look();
  }

  #tell(): void {
    if (this.#stopped || !this.#nodeServes || this.#telling !== undefined) return;
    const paused = this.#reasons.length > 0;
    // One that was just started shares already.
    if ((this.#told ?? false) === paused) return;
    clearTimeout(this.#retry);
    this.#telling = this.#tellNode(paused).then(() => {
      this.#telling = undefined;
      if (this.#told === paused) this.#tell();
    });
  }

  /** Never rejects. */
  async #tellNode(paused: boolean): Promise<void> {
    const { tellNode, log } = this.#components;
    let detail: string | undefined;
    try {
      await tellNode(paused);
      this.#told = paused;
    } catch (error) {
      log.warn({ error, paused }, 'the node could not be told about sharing');
      detail = `The node could not be told: ${error instanceof Error ? error.message : String(error)}`;
      this.#retry = setTimeout(() => this.#tell(), this.#limits.retryMs);
      this.#retry.unref();
    }
    if (detail === this.#detail) return;
    this.#detail = detail;
    this.#changed();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
