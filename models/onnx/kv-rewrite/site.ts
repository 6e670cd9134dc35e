// What a matcher finds of one layer's attention, and what the rewriter puts in its place. One matcher per way in which
// exporters write attention; each knows nothing of the others.
import type { GenerationSpec } from '../../manifest.ts';
import type { GraphEditor } from '../graph.ts';
import type { DecoderLayout } from './layout.ts';
import type { Looks } from './samples.ts';

/** Attention of one layer, as far as the rewriter needs to know it. */
export interface AttentionSite {
  /** Tensor [B, H, S, D], rotated where the model rotates, not scaled. */
  readonly query: string;
  /** Tensor [B, KV, S, D], rotated. */
  readonly key: string;
  /** Tensor [B, KV, S, D]. */
  readonly value: string;
  readonly heads: number;
  /** Multiplies the scores. */
  readonly scale: number;
  /** Tokens that a token sees, itself included; 0 = all before it. */
  readonly window: number;
  /** Scores become cap · tanh(scores / cap); 0 = they stay. */
  readonly softcap: number;
  /** The tensor that attention gave so far; its uses are given the new one. */
  readonly output: string;
  /** Its shape: `flat` [B, S, H · D], `heads` [B, H, S, D], or the same elements in the shape of another tensor. */
  readonly form: 'flat' | 'heads' | { readonly like: string };
  /** A tensor of the type that the output has. @default that of the cache */
  readonly typed?: string;
}

/** What matchers are given. */
export interface MatchContext {
  readonly editor: GraphEditor;
  readonly spec: GenerationSpec;
  readonly layer: number;
  /** Of the cache. */
  readonly type: DecoderLayout['type'];
  /** The graph as it was exported, with values. */
  readonly looks: Looks;
  /** Names of the layer's ports as the graph was exported. */
  readonly ports: {
    readonly pastKey: string;
    readonly pastValue: string;
    readonly presentKey: string;
    readonly presentValue: string;
  };
  /** int64 [B, S]: positions of the new tokens. */
  readonly positions: string;
}

/**
 * Finds the attention of one layer. May add nodes that give the site's tensors.
 * @returns undefined when the layer is not written in this way
 * @throws Refusal when it is, but in a form that can't be rewritten
 */
export type Matcher = (context: MatchContext) => AttentionSite | undefined;

/** Why a graph stays as it is, for people: completes "not rewritten: …". */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}
