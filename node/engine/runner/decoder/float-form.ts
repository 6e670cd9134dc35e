// A second session of a rewritten decoder for runs of many rows, which are prompts: the same graph, its products with 4-bit
// weights on float activations. Opened where this machine is faster so (float-probe.ts says by how much) and where the
// daemon has left memory for it: the runtime packs the weights once for each form, which takes about what their file does
// (SmolLM2: 98 MB for 105). Whatever goes wrong here, the model decodes with one form.
import type { InferenceSession } from 'onnxruntime-node';
import { type FloatRows, floatRows } from './float-probe.ts';

/** A session for runs of many rows. */
export interface ManyRows {
  readonly session: InferenceSession;
  /** It takes runs of so many rows and more. */
  readonly rowsMin: number;
}

/** What a load has taken. */
export interface LoadMemory {
  /** By the second form; 0 = there is none. */
  readonly spareBytes: number;
  /** The most that the process took before that. */
  readonly peakBytes: number;
}

export interface FloatFormComponents {
  /** The graph on float activations, for the runtime; undefined where it would be the same graph. */
  readonly bytes: () => Uint8Array | undefined;
  readonly open: (bytes: Uint8Array) => Promise<InferenceSession>;
  /** Why it is not to be used, if so. */
  readonly check: (session: InferenceSession) => Promise<string | undefined>;
  /** @default as this machine is */
  readonly floatRows?: FloatRows | undefined;
  /** Resident bytes of this process. @default as it is */
  readonly residentBytes?: () => number;
}

/** @param spareBytes what it may take */
export async function openFloatForm(
  components: FloatFormComponents,
  spareBytes: number,
): Promise<{ readonly many: ManyRows; readonly takenBytes: number } | undefined> {
  const { residentBytes = () => process.memoryUsage.rss() } = components;
  let session: InferenceSession | undefined;
  try {
    const bytes = components.bytes();
    if (bytes === undefined) return undefined;
    const rowsMin = await (components.floatRows ?? floatRows)();
    if (rowsMin === undefined) return undefined;
    const before = residentBytes();
    session = await components.open(bytes);
    // Memory that was given back before it may be used again: then it seems to take nothing, and 0 would say it isn't there.
    const takenBytes = Math.max(1, residentBytes() - before);
    if (takenBytes <= spareBytes && (await components.check(session)) === undefined) {
      return { many: { session, rowsMin }, takenBytes };
    }
  } catch {
    // One form is enough.
  }
  await session?.release();
  return undefined;
}

/** Says, when it is called, the most that this process has taken since {@link peakFromNow} was: at least what it takes then. */
export function peakFromNow(): () => number {
  const most = (): number => process.resourceUsage().maxRSS * 1024;
  const before = most();
  return () => {
    const now = most();
    // An earlier peak hides a lower one.
    return now > before ? now : process.memoryUsage.rss();
  };
}
