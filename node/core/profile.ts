// What is known of a model's speed on this node: what was measured while nothing else ran (the claim), beside what real
// requests showed since. The profiler measures through these ports; `weft show --profile` prints both.
import type { BatchPoint, ServiceProfile } from '../../protocol/capability.ts';
import type { Engine, LoadedModel } from './engine.ts';

/** Tokens computed in one piece of work, padding included, and its milliseconds in the runtime. */
export interface WorkPoint {
  readonly tokens: number;
  readonly ms: number;
}

/** Milliseconds per generated token behind so many tokens of context, one sequence alone. */
export interface DecodePoint {
  readonly context: number;
  readonly ms: number;
}

/** One measurement of a model on one device by one version of Weft. A part that could not be measured is empty. */
export interface MeasuredProfile {
  /** The provider that ran it. */
  readonly device: string;
  /** What else decides the speed, for people: processor and threads. */
  readonly machine: string;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly measuredAtMs: number;
  /** Prompts of a text generator, a single text of an encoder, one row (as one token) of any other graph. */
  readonly work: readonly WorkPoint[];
  readonly decode: readonly DecodePoint[];
  /** Milliseconds of one step with so many sequences, or of one run with so many rows. */
  readonly batch: readonly BatchPoint[];
  /** Of real loads; 0 = none seen. */
  readonly loadMs: number;
  /** Of text generators: as in GenerationStatus. */
  readonly decoder?: 'rewritten' | 'plain';
  readonly decoderReason?: string;
}

/** What real requests showed, by medians over the last ones. */
export interface ObservedProfile {
  /** Pieces of work, and answers of more than one token. */
  readonly samples: number;
  readonly answers: number;
  readonly fixedMs: number;
  readonly perTokenMs: number;
  /** Per generated token, however many sequences shared the steps; 0 = none seen. */
  readonly decodeMs: number;
  readonly loadMs: number;
  /** Real times over claimed ones, within bounds; 1 while there are too few to tell. */
  readonly workRatio: number;
  readonly decodeRatio: number;
}

/** All that is known of a model's speed here. */
export interface ProfileReport {
  readonly claim: MeasuredProfile | undefined;
  readonly observed: ObservedProfile;
  /** What peers are told: the claim, corrected by what was observed. */
  readonly offered: ServiceProfile;
}

/** The engine as the profiler sees it. */
export interface MeasurableEngine extends Engine {
  loaded(): readonly LoadedModel[];
  /** Milliseconds since the last request ended that was no background work; 0 while there is one. */
  quietMs(): number;
  /** Prices a model by this measurement from now on. Of a model that isn't offered nothing happens. */
  claim(digest: string, claim: MeasuredProfile): void;
  /** @returns undefined for a model that isn't offered */
  profile(digest: string): ProfileReport | undefined;
}
