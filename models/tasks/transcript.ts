// What one window of sound was written down as: its segments, and where the next window begins. After whisper's
// transcribe.py, which goes from one pair of times to the next. Pure.

/** Seconds from one time token to the next. */
export const TIME_STEP_S = 0.02;

/** A part of the text between two times; frames count from the window's beginning. */
export interface WindowSegment {
  readonly startFrame: number;
  readonly endFrame: number;
  /** Times and the end included. */
  readonly ids: readonly number[];
  /** Where it begins among the window's ids. */
  readonly offset: number;
}

export interface WindowTranscript {
  readonly segments: readonly WindowSegment[];
  /** From here on the next window listens: the beginning of what this one has cut off, or the window's end. */
  readonly advanceFrames: number;
}

export interface WindowInit {
  readonly timestampBeginId: number;
  /** Frames from one time token to the next: 2 for Whisper. */
  readonly framesPerTime: number;
  /** Frames of sound in this window. */
  readonly frames: number;
  /** A window that would go on sooner is taken as whole: a model that says nothing of time must not stand still. */
  readonly advanceFramesMin: number;
}

/** @param ids what was drawn, the token that ended it left out */
export function readWindow(ids: readonly number[], init: WindowInit): WindowTranscript {
  const { timestampBeginId, framesPerTime, frames, advanceFramesMin } = init;
  const isTime = (id: number | undefined): boolean => id !== undefined && id >= timestampBeginId;
  const frameOf = (id: number | undefined): number =>
    Math.min(frames, ((id ?? timestampBeginId) - timestampBeginId) * framesPerTime);
  /** Each begins behind the end of a segment. */
  const cuts = [...ids.keys()].filter((index) => index > 0 && isTime(ids[index]) && isTime(ids[index - 1]));
  const endsOnce = isTime(ids.at(-1)) && !isTime(ids.at(-2));
  if (cuts.length === 0) {
    const last = ids.findLast(isTime);
    const endFrame = last === undefined || frameOf(last) === 0 ? frames : frameOf(last);
    const segment = { startFrame: isTime(ids[0]) ? frameOf(ids[0]) : 0, endFrame, ids, offset: 0 };
    return { segments: ids.length === 0 ? [] : [ordered(segment)], advanceFrames: frames };
  }
  const segments: WindowSegment[] = [];
  let from = 0;
  for (const to of endsOnce ? [...cuts, ids.length] : cuts) {
    const own = ids.slice(from, to);
    segments.push(ordered({ startFrame: frameOf(own[0]), endFrame: frameOf(own.at(-1)), ids: own, offset: from }));
    from = to;
  }
  // What stands behind the last pair was cut off by the window's end: the next one listens to it again, whole.
  const advanceFrames = endsOnce ? frames : frameOf(ids[from - 1]);
  if (advanceFrames >= advanceFramesMin || advanceFrames >= frames) return { segments, advanceFrames };
  const rest = ids.slice(from);
  const last = { startFrame: frameOf(rest[0]), endFrame: frames, ids: rest, offset: from };
  return { segments: [...segments, ordered(last)], advanceFrames: frames };
}

const ordered = (segment: WindowSegment): WindowSegment => ({
  ...segment,
  endFrame: Math.max(segment.startFrame, segment.endFrame),
});
