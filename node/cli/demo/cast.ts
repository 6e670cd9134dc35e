// Who takes part in the demonstration: five machines as people have them, and the links between them.
import type { LinkShape } from './link.ts';

export interface Role {
  readonly name: string;
  /** As `--offer` takes it. */
  readonly offer: string;
  /** How others reach it; undefined for a machine that nobody can dial, such as a laptop behind a router. */
  readonly link: LinkShape | undefined;
}

const MEGABIT = 1_000_000 / 8;

/** The edge: where the requests come from. It executes nothing. */
export const EDGE: Role = { name: 'laptop', offer: 'none', link: undefined };

/** The first of them makes the mesh and invites the others. */
export const WORKERS: readonly [Role, ...Role[]] = [
  { name: 'tower', offer: 'smollm2', link: { latencyMs: 1, bytesPerSecond: 1_000 * MEGABIT } },
  { name: 'studio', offer: 'smollm2', link: { latencyMs: 8, bytesPerSecond: 200 * MEGABIT } },
  { name: 'nas', offer: 'minilm', link: { latencyMs: 1, bytesPerSecond: 1_000 * MEGABIT } },
  { name: 'cloud', offer: 'minilm', link: { latencyMs: 20, bytesPerSecond: 50 * MEGABIT } },
];

/** `1 ms, 1000 Mbit/s`, or what stands for no link. */
export function describeLink({ link }: Role): string {
  return link === undefined
    ? 'dials out only'
    : `${link.latencyMs} ms each way, ${link.bytesPerSecond / MEGABIT} Mbit/s`;
}

export const QUESTIONS: readonly string[] = [
  'Name the capital of France.',
  'Why is the sky blue?',
  'What is a computer network?',
  'Write one sentence about the sea.',
];

export const TEXTS: readonly string[] = [
  'A mesh of machines shares its work.',
  'The nearest one is not always the fastest.',
  'Predicted time decides who answers.',
];

/** A batch that takes longer to compute than to send: enough for a far machine to be worth its while. */
export const BATCHES = 4;
export const BATCH: readonly string[] = Array.from(
  { length: 24 },
  (_, at) => `Note ${at + 1}: ${TEXTS.join(' ')} Nobody need know where the work is done, as long as it is done soon.`,
);

/** Makes SmolLM2 talk for longer than the loss of a node takes. */
export const STORY = 'Write a short story about a robot who learns to paint.';
