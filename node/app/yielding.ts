// Notices when this machine is wanted for something else: it runs on its battery, or its owner works at it. Then it asks
// the mesh to prefer others; and where its owner says so, it works for nobody else at all until told otherwise. What programs beside Weft take of the processor stands for the owner: it says so on every
// system, without watching keys or windows.
import { cpus } from 'node:os';
import type { ToldReason, YieldReason } from '../../protocol/capability.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';

/** Between two looks at the processor, and at the battery. */
const LOOK_MS = 5_000;
const BATTERY_LOOKS = 6;

/** Of all processors, what others must take to count as work: half a core, or this share of many. */
const WORK_CORES = 0.5;
const WORK_SHARE = 0.15;

/** Looks of the last three at which others must have worked: a cron job is no owner. */
const LOOKS = 3;
const WORKING_LOOKS = 2;

/** The owner is gone when others took less than half of that for so long. */
const REST_MS = 60_000;

/** Milliseconds since some point: of all processors together, and of them those that were not idle. */
export interface ProcessorTimes {
  readonly totalMs: number;
  readonly busyMs: number;
}

export interface YieldingComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** True on battery; undefined where there is none, or nobody can say: it is asked no more. */
  readonly onBattery: () => Promise<boolean | undefined>;
  /** True while requests are computed here: the processor's times then say nothing of others. */
  readonly busy: () => boolean;
  /** @default those of the system */
  readonly times?: () => ProcessorTimes;
  /** This process's own, in milliseconds. @default the runtime's */
  readonly ownMs?: () => number;
}

export interface YieldingInit {
  /** The reasons that count, by the settings; asked at each look. */
  readonly heeds: () => readonly YieldReason[];
  readonly cores: number;
}

export class Yielding {
  readonly #components: YieldingComponents;
  readonly #init: YieldingInit;
  readonly #listeners = new Set<() => void>();
  #reasons: readonly YieldReason[] = [];
  #paused = false;
  #timer: Timer | undefined;
  #before: (ProcessorTimes & { readonly ownMs: number }) | undefined;
  /** Of the last looks that could tell: whether others worked. */
  #worked: boolean[] = [];
  #ownerWorks = false;
  #workedAtMs = 0;
  #onBattery = false;
  #mayHaveBattery = true;
  #looks = 0;
  #stopped = false;

  constructor(components: YieldingComponents, init: YieldingInit) {
    this.#components = components;
    this.#init = init;
  }

  /** Why others are to be preferred now; none most of the time. */
  reasons(): readonly YieldReason[] {
    return this.#reasons;
  }

  /** True while nothing is done here for others. This node's own requests go on as ever. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Ends, or takes up again, the work for others. What is under way for them is finished. A new start is not paused. */
  pause(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#components.log.info({ paused }, 'sharing has changed');
    for (const listener of this.#listeners) listener();
  }

  /** Why peers are to prefer others, or to ask nothing of this node. */
  told(): readonly ToldReason[] {
    return this.#paused ? [...this.#reasons, 'paused'] : this.#reasons;
  }

  /** Calls back when the reasons change, or sharing does. Returns what ends the subscription. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#before = this.#measure();
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { clock, log, onBattery } = this.#components;
    const heeds = this.#init.heeds();
    if (this.#looks++ % BATTERY_LOOKS === 0 && this.#mayHaveBattery && heeds.includes('battery')) {
      try {
        const answer = await onBattery();
        this.#onBattery = answer === true;
        // No battery comes later, and outside Linux each question is a process.
        this.#mayHaveBattery = answer !== undefined;
      } catch (error) {
        log.debug({ error }, 'nobody can say whether this machine runs on battery');
      }
    }
    if (this.#stopped) return;
    this.#watchOthers(clock.now());
    this.#tell([
      ...(heeds.includes('battery') && this.#onBattery ? (['battery'] as const) : []),
      ...(heeds.includes('owner') && this.#ownerWorks ? (['owner'] as const) : []),
    ]);
    this.#timer = clock.after(LOOK_MS, () => void this.#look());
  }

  #watchOthers(nowMs: number): void {
    const now = this.#measure();
    const before = this.#before;
    this.#before = now;
    if (before === undefined || now === undefined || now.totalMs <= before.totalMs) return;
    const { cores } = this.#init;
    const elapsedMs = (now.totalMs - before.totalMs) / cores;
    const othersMs = Math.max(0, now.busyMs - before.busyMs - (now.ownMs - before.ownMs));
    const coresTaken = othersMs / elapsedMs;
    const least = Math.max(Math.min(WORK_CORES, cores / 2), WORK_SHARE * cores);
    this.#worked = [...this.#worked, coresTaken >= least].slice(-LOOKS);
    if (coresTaken >= least / 2) this.#workedAtMs = nowMs;
    if (this.#worked.filter(Boolean).length >= WORKING_LOOKS) this.#ownerWorks = true;
    else if (nowMs - this.#workedAtMs >= REST_MS) this.#ownerWorks = false;
  }

  /** Undefined while requests are computed here. */
  #measure(): (ProcessorTimes & { readonly ownMs: number }) | undefined {
    const { busy, times = systemTimes, ownMs = ownTime } = this.#components;
    return busy() ? undefined : { ...times(), ownMs: ownMs() };
  }

  #tell(reasons: readonly YieldReason[]): void {
    if (reasons.join() === this.#reasons.join()) return;
    this.#reasons = reasons;
    for (const listener of this.#listeners) listener();
  }
}

function systemTimes(): ProcessorTimes {
  let totalMs = 0;
  let busyMs = 0;
  for (const { times } of cpus()) {
    const workedMs = times.user + times.nice + times.sys + times.irq;
    busyMs += workedMs;
    totalMs += workedMs + times.idle;
  }
  return { totalMs, busyMs };
}

function ownTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
