// How many copies of a model the owner wants, as people write it: `smollm2=1..3`, `minilm=2`, `whisper=..1`.
import { REPLICAS_MAX } from './limits.ts';

/** Copies in memory over the whole mesh. */
export interface ReplicaSetting {
  /** Hub id or short name. */
  readonly model: string;
  readonly min: number;
  /** Infinity = no limit. */
  readonly max: number;
}

/** Undefined for what isn't understood. `name=2` is exactly two, `name=2..` at least, `name=..2` at most. */
export function parseReplicas(text: string): ReplicaSetting | undefined {
  const match = /^([^=\s]+)\s*=\s*(?:(\d{1,4})|(\d{1,4})?\.\.(\d{1,4})?)$/.exec(text.trim());
  if (match === null) return undefined;
  const [, model = '', exact, least, most] = match;
  if (exact === undefined && least === undefined && most === undefined) return undefined;
  const min = Number(exact ?? least ?? 0);
  const max = Number(exact ?? most ?? Number.POSITIVE_INFINITY);
  const isSound =
    min <= max && max >= 1 && min <= REPLICAS_MAX && (max <= REPLICAS_MAX || max === Number.POSITIVE_INFINITY);
  return isSound ? { model, min, max } : undefined;
}

/** What {@link parseReplicas} reads back. */
export function formatReplicas({ model, min, max }: ReplicaSetting): string {
  if (min === max) return `${model}=${min}`;
  return `${model}=${min > 0 ? min : ''}..${max === Number.POSITIVE_INFINITY ? '' : max}`;
}

/** The bounds of a model, by any of its names: the first setting that names it. */
export function replicaBounds(
  settings: readonly ReplicaSetting[],
  names: readonly string[],
): Pick<ReplicaSetting, 'min' | 'max'> {
  const wanted = names.map((name) => name.toLowerCase());
  const found = settings.find(({ model }) => wanted.includes(model.toLowerCase()));
  return found ?? { min: 0, max: Number.POSITIVE_INFINITY };
}
