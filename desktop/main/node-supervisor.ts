// Keeps this machine's node running: takes on the one that runs, else starts its own, and never a second one, since the
// node's own lock on its data folder decides. Starts it again when it dies, says why when it can't, and ends only what it
// started.
import type { NodeState } from '../shared/bridge.ts';
import * as LIMITS from './limits.ts';
import type { Log } from './log.ts';
import type { NodeChild, NodeEnd, NodeStarter } from './node-process.ts';

/** What can be seen of a data folder without touching it. */
export interface HomeView {
  /** True while any node holds it. */
  isHeld(): boolean;
  record(): Promise<{ readonly pid: number; readonly api: string } | undefined>;
}

export interface SupervisorComponents {
  readonly log: Log;
  readonly home: HomeView;
  readonly starter: NodeStarter;
  /** True when a node answers at this address. Never rejects. */
  readonly answers: (api: string, timeoutMs: number) => Promise<boolean>;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
  /** Where a signal can't ask a process to end in good order: asks its API instead. @default the signal */
  readonly askToStop?: ((api: string) => Promise<void>) | undefined;
}

/** Tests shorten the waits. */
export type SupervisorLimits = Readonly<
  Record<
    | 'LOOK_MS'
    | 'LOOK_TIMEOUT_MS'
    | 'START_LOOK_MS'
    | 'READY_MS_MAX'
    | 'SILENT_HOLDER_MS_MAX'
    | 'MISSES_SILENT'
    | 'MISSES_HUNG'
    | 'BACK_OFF_MS_MIN'
    | 'BACK_OFF_MS_MAX'
    | 'STEADY_MS'
    | 'SUCCESSOR_MS'
    | 'STOP_MS_MAX',
    number
  >
>;

export interface NodeView {
  readonly node: NodeState;
  readonly api?: string;
  readonly detail?: string;
}

/** A node that was asked to stop: over its API, or by a hang-up, an interrupt or a request to terminate (128 + signal). */
const ASKED_CODES: ReadonlySet<number> = new Set([0, 129, 130, 143]);

export class NodeSupervisor {
  readonly #components: SupervisorComponents;
  readonly #limits: SupervisorLimits;
  readonly #listeners = new Set<(view: NodeView) => void>();
  #view: NodeView = { node: 'stopped' };
  /** The person, or the app's start, wants a node. */
  #wanted = false;
  #running = false;
  #child: NodeChild | undefined;
  #childSinceMs = 0;
  #childServed = false;
  #unreadySinceMs: number | undefined;
  /** Ends of the last nodes of our own in a row, which lived too short. */
  #failures = 0;
  #misses = 0;
  /** Since when somebody holds the folder without an answer. */
  #silentSinceMs: number | undefined;
  /** Nothing is started before this. */
  #notBeforeMs = 0;
  #wake: (() => void) | undefined;
  #nudged = false;
  #loop: Promise<void> | undefined;

  constructor(components: SupervisorComponents, limits: Partial<SupervisorLimits> = {}) {
    this.#components = components;
    this.#limits = { ...LIMITS, ...limits };
  }

  get view(): NodeView {
    return this.#view;
  }

  /** True while the node is one that was started here. */
  get owns(): boolean {
    return this.#child !== undefined;
  }

  /** Calls back with each new view. Returns what ends the subscription. */
  onChange(listener: (view: NodeView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks after the node from now on. */
  start(): void {
    this.#wanted = true;
    this.#failures = 0;
    this.#notBeforeMs = 0;
    if (!this.#running) {
      this.#running = true;
      this.#show({ node: 'starting' });
      this.#loop = this.#run();
    } else if (this.#view.node === 'stopped' || this.#view.node === 'failed') {
      this.#show({ node: 'starting' });
    }
    this.#nudge();
  }

  /** Ends the node, and starts none. @throws Error for a node that was not started here */
  async stopNode(): Promise<void> {
    if (this.#child === undefined && this.#view.node === 'adopted') throw notOurs();
    this.#wanted = false;
    await this.#endChild();
    this.#show({ node: 'stopped' });
  }

  /** @throws Error for a node that was not started here */
  async restartNode(): Promise<void> {
    if (this.#child === undefined && this.#view.node === 'adopted') throw notOurs();
    this.#wanted = false;
    await this.#endChild();
    this.start();
  }

  /** Ends what was started here, in good order or by force, and looks no more. */
  async stop(): Promise<void> {
    this.#wanted = false;
    this.#running = false;
    this.#nudge();
    await this.#endChild();
    await this.#loop;
    this.#show({ node: 'stopped' });
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const waitMs = await this.#look();
      if (this.#running) await this.#wait(waitMs);
    }
  }

  /** One look at how things stand. @returns milliseconds until the next one */
  async #look(): Promise<number> {
    const { home, answers, now } = this.#components;
    if (home.isHeld()) {
      const record = await home.record();
      if (record !== undefined && (await answers(record.api, this.#limits.LOOK_TIMEOUT_MS)))
        return this.#serves(record);
      if (this.#child !== undefined && record === undefined) return this.#starting();
      return this.#silent(record?.pid);
    }
    this.#silentSinceMs = undefined;
    // It has not come as far as the lock.
    if (this.#child !== undefined) return this.#starting();
    if (this.#view.node === 'adopted') await this.#adoptedHasGone();
    if (!this.#wanted) return this.#rest();
    const waitMs = this.#notBeforeMs - now();
    return waitMs > 0 ? waitMs : this.#startOwn();
  }

  #serves({ pid, api }: { readonly pid: number; readonly api: string }): number {
    this.#childServed ||= this.#child?.pid === pid;
    // Where a process can't be replaced, one that restarts has a child that serves in its place.
    const own = this.#child !== undefined && this.#childServed;
    this.#misses = 0;
    this.#silentSinceMs = undefined;
    this.#unreadySinceMs = undefined;
    if (own && this.#components.now() - this.#childSinceMs >= this.#limits.STEADY_MS) this.#failures = 0;
    // One of our own that is being ended still answers for a moment.
    if (this.#wanted || !own) this.#show({ node: own ? 'running' : 'adopted', api });
    return this.#limits.LOOK_MS;
  }

  /** Somebody holds the folder, and doesn't answer: it starts, stops, is stopped, or hangs. */
  #silent(pid: number | undefined): number {
    const { now, log } = this.#components;
    const limits = this.#limits;
    this.#silentSinceMs ??= now();
    const who = pid === undefined ? 'A node' : `The node (process ${pid})`;
    if (this.#child !== undefined && this.#child.pid === pid) {
      this.#misses += 1;
      if (this.#misses >= limits.MISSES_HUNG) {
        log.warn({ pid }, 'the node hangs and is replaced');
        this.#misses = 0;
        this.#child.kill();
      } else if (this.#misses >= limits.MISSES_SILENT && this.#wanted) {
        this.#show({ node: 'failed', detail: `${who} doesn't answer. If it stays silent, it is replaced.` });
      }
      return limits.LOOK_MS;
    }
    if (now() - this.#silentSinceMs < limits.SILENT_HOLDER_MS_MAX) {
      if (this.#view.node === 'adopted') return limits.LOOK_MS;
      if (this.#wanted) this.#show({ node: 'starting', detail: `${who} is starting.` });
      return limits.START_LOOK_MS;
    }
    this.#show({
      node: 'failed',
      detail: `${who} holds the data folder and doesn't answer. End it, and this app starts another one.`,
    });
    return limits.LOOK_MS;
  }

  /** Our own has not said yet where it answers. */
  #starting(): number {
    const limits = this.#limits;
    const now = this.#components.now();
    // Also when it has served and starts anew, in the same process.
    this.#unreadySinceMs ??= now;
    if (now - this.#unreadySinceMs < limits.READY_MS_MAX) {
      if (this.#wanted && this.#view.node !== 'failed') this.#show({ node: 'starting' });
      return limits.START_LOOK_MS;
    }
    this.#show({ node: 'failed', detail: 'The node did not get ready in time and is started again.' });
    this.#child?.kill();
    return limits.LOOK_MS;
  }

  #startOwn(): number {
    const { starter, now, log } = this.#components;
    const child = starter.start();
    log.info({ pid: child.pid }, 'started a node');
    this.#child = child;
    this.#childSinceMs = now();
    this.#childServed = false;
    this.#unreadySinceMs = undefined;
    this.#misses = 0;
    // What went wrong before stays on show until it is better.
    if (this.#view.node !== 'failed') this.#show({ node: 'starting' });
    void child.ended.then((end) => this.#hasEnded(child, end));
    return this.#limits.START_LOOK_MS;
  }

  /**
   * A node that was taken on is gone. One that stopped in good order took its record along: somebody wanted that. After any
   * other end its own service manager may bring it back, and is first.
   */
  async #adoptedHasGone(): Promise<void> {
    const { home, now } = this.#components;
    if ((await home.record()) === undefined) {
      this.#wanted = false;
      this.#show({ node: 'stopped', detail: 'The node was stopped outside of this app.' });
    } else {
      this.#notBeforeMs = now() + this.#limits.SUCCESSOR_MS;
      this.#show({
        node: 'failed',
        detail: 'The node has ended unexpectedly. If it does not return, it is started here.',
      });
    }
  }

  /** Nobody wants a node. One that somebody starts all the same is taken on. */
  #rest(): number {
    if (this.#view.node !== 'stopped') this.#show({ node: 'stopped' });
    return this.#limits.LOOK_MS;
  }

  #hasEnded(child: NodeChild, { code, reason }: NodeEnd): void {
    if (this.#child !== child) return;
    const { home, log, now } = this.#components;
    const livedMs = now() - this.#childSinceMs;
    this.#child = undefined;
    log.info({ pid: child.pid, code, livedMs, reason }, 'the node has ended');
    if (!this.#running || !this.#wanted) return;
    if (home.isHeld()) {
      // Another one was faster: that one is taken on.
    } else if (code !== undefined && ASKED_CODES.has(code)) {
      this.#wanted = false;
      this.#show({ node: 'stopped', detail: 'The node was asked to stop.' });
    } else {
      this.#failures = livedMs >= this.#limits.STEADY_MS ? 1 : this.#failures + 1;
      const waitMs = backOffMs(this.#failures, this.#limits);
      this.#notBeforeMs = now() + waitMs;
      const what =
        reason ?? (code === undefined ? 'The node was ended by force.' : `The node ended with code ${code}.`);
      const when = waitMs < 1_000 ? '' : ` in ${Math.round(waitMs / 1_000)} s`;
      this.#show({ node: 'failed', detail: `${what} It is started again${when}.` });
    }
    this.#nudge();
  }

  async #endChild(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const { askToStop } = this.#components;
    const { api } = this.#view;
    const overdue = setTimeout(() => child.kill(), this.#limits.STOP_MS_MAX);
    if (askToStop !== undefined && api !== undefined) void askToStop(api).catch(() => child.end());
    else child.end();
    await child.ended;
    clearTimeout(overdue);
    if (this.#child === child) this.#child = undefined;
  }

  /** Looks at once, or right after the look that is under way. */
  #nudge(): void {
    this.#nudged = true;
    this.#wake?.();
  }

  async #wait(waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, this.#nudged ? 0 : waitMs);
    });
    clearTimeout(timer);
    this.#wake = undefined;
    this.#nudged = false;
  }

  #show(view: NodeView): void {
    if (JSON.stringify(view) === JSON.stringify(this.#view)) return;
    this.#view = view;
    for (const listener of [...this.#listeners]) listener(view);
  }
}

/** How long to wait before the next start, after so many failures in a row. */
export function backOffMs(
  failures: number,
  limits: Pick<SupervisorLimits, 'BACK_OFF_MS_MIN' | 'BACK_OFF_MS_MAX'>,
): number {
  return Math.min(limits.BACK_OFF_MS_MAX, limits.BACK_OFF_MS_MIN * 2 ** Math.max(0, failures - 1));
}

function notOurs(): Error {
  return new Error('This node was not started by the app: stop or restart it where it was started.');
}
