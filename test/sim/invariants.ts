// What holds in every simulated world whatever fails in it, checked at every event: each request has one outcome, and one
// answer at most; nobody is sent to the dead; a second try beside a first that still runs is one of twenty requests at most;
// and in the end nothing runs that nobody waits for.
import type { EventKind } from './event-log.ts';

/** After so long nobody is sent to a node that says nothing any more. */
export const GHOST_MS = 2_000;

/** Nodes that one request may be placed on: the dispatcher's bound, and a hedge. */
const PLACED_MAX = 9;

/** Of all requests, how many may be hedged. */
export const HEDGE_SHARE = 0.05;

interface Watched {
  readonly submittedMs: number;
  /** Where it was submitted. */
  readonly entry: string;
  placed: number;
  answered: number;
  ended: boolean;
  /** Nodes that are at it, as its entry sees it. */
  calls: number;
  /** Executors that have it, by node. */
  readonly at: Map<string, 'taken' | 'begun'>;
}

export interface InvariantsInit {
  /** Called at the first thing that doesn't hold. */
  readonly onBroken: (what: string) => void;
  /** @default HEDGE_SHARE */
  readonly hedgeShare?: number;
}

export class Invariants {
  readonly #requests = new Map<number, Watched>();
  readonly #silentSinceMs = new Map<string, number>();
  readonly #onBroken: (what: string) => void;
  readonly #hedgeShare: number;
  #submitted = 0;
  #open = 0;
  #hedges = 0;
  #executions = 0;
  #lastToSilentMs = 0;

  constructor(init: InvariantsInit) {
    this.#onBroken = init.onBroken;
    this.#hedgeShare = init.hedgeShare ?? HEDGE_SHARE;
  }

  /** Requests without an outcome. */
  get open(): number {
    return this.#open;
  }

  get submitted(): number {
    return this.#submitted;
  }

  /** Requests that went to a second node while a first had them. */
  get hedges(): number {
    return this.#hedges;
  }

  /** Times that an executor took work in. */
  get executions(): number {
    return this.#executions;
  }

  /** How long after a node's end the last request was sent there. */
  get lastToSilentMs(): number {
    return this.#lastToSilentMs;
  }

  /** Nothing comes from the node any more… */
  silent(node: string, atMs: number): void {
    if (!this.#silentSinceMs.has(node)) this.#silentSinceMs.set(node, atMs);
  }

  /** …or it speaks again. */
  speaks(node: string): void {
    this.#silentSinceMs.delete(node);
  }

  /** Its process is gone, with all that it had. */
  died(node: string, atMs: number): void {
    this.silent(node, atMs);
    for (const { at } of this.#requests.values()) at.delete(node);
  }

  /** To be told of every event of the world. */
  readonly watch = (kind: EventKind, atMs: number, node: string, request: number): void => {
    if (request < 0) return;
    const watched = this.#requests.get(request);
    if (kind === 'submitted') this.#begin(request, atMs, node);
    else if (watched === undefined) this.#onBroken(`request ${request} was ${kind} before it was submitted`);
    else this.#seen(watched, kind, atMs, node, request);
  };

  /** When nothing is left to happen: everyone has an outcome, and no executor works for nobody. */
  end(): void {
    for (const [request, { ended, at, submittedMs }] of this.#requests) {
      if (!ended) this.#onBroken(`request ${request}, submitted at ${submittedMs.toFixed(1)} ms, was lost`);
      for (const [node, state] of at) this.#onBroken(`request ${request} is still ${state} at ${node}`);
    }
  }

  #begin(request: number, atMs: number, entry: string): void {
    if (this.#requests.has(request)) this.#onBroken(`request ${request} was submitted twice`);
    this.#submitted++;
    this.#open++;
    this.#requests.set(request, {
      submittedMs: atMs,
      entry,
      placed: 0,
      answered: 0,
      ended: false,
      calls: 0,
      at: new Map(),
    });
  }

  #seen(watched: Watched, kind: EventKind, atMs: number, node: string, request: number): void {
    switch (kind) {
      case 'placed':
        this.#placed(watched, request);
        break;
      case 'sent':
        this.#sent(request, atMs, node);
        this.#called(watched);
        break;
      case 'taken':
        this.#executions++;
        watched.at.set(node, 'taken');
        if (node === watched.entry) this.#called(watched);
        break;
      case 'begun':
        watched.at.set(node, 'begun');
        break;
      case 'done':
      case 'stopped':
        watched.at.delete(node);
        if (node === watched.entry) watched.calls--;
        break;
      case 'answered':
        watched.calls--;
        if (watched.ended) this.#onBroken(`request ${request} was answered after its end`);
        if (++watched.answered > 1) this.#onBroken(`request ${request} was answered twice`);
        break;
      case 'failed':
        watched.calls--;
        break;
      case 'outcome':
        if (watched.ended) this.#onBroken(`request ${request} has two outcomes`);
        watched.ended = true;
        this.#open--;
        break;
    }
  }

  #placed(watched: Watched, request: number): void {
    if (watched.ended) this.#onBroken(`request ${request} was placed after its end`);
    if (++watched.placed > PLACED_MAX) this.#onBroken(`request ${request} was placed ${watched.placed} times`);
  }

  #sent(request: number, atMs: number, node: string): void {
    const silentMs = atMs - (this.#silentSinceMs.get(node) ?? atMs);
    this.#lastToSilentMs = Math.max(this.#lastToSilentMs, silentMs);
    if (silentMs > GHOST_MS) {
      this.#onBroken(`request ${request} was sent to ${node}, silent for ${silentMs.toFixed(1)} ms`);
    }
  }

  #called(watched: Watched): void {
    if (watched.calls++ === 0) return;
    this.#hedges++;
    if (this.#hedges > this.#hedgeShare * this.#submitted + 1e-6) {
      this.#onBroken(`${this.#hedges} of ${this.#submitted} requests were hedged`);
    }
  }
}
