// How a link takes frames, whatever it is made of: a libp2p stream, a runner's socket, memory in a test. Both sides of a
// call write by it.
import type { TensorAssembler } from '../../protocol/frame.ts';
import type { FrameHeader } from '../../protocol/header.ts';

/** Takes the pieces of one frame, to be written one after the other with nothing between. */
export interface FrameWriter {
  /**
   * @returns a promise when the link is full: wait for it before the next write; it rejects when the link is lost
   * @throws WeftError when the link is gone already
   */
  write(pieces: readonly Uint8Array[]): Promise<void> | undefined;
}

/** A message whose tensors are still coming in; one at a time per call. */
export interface Incoming {
  readonly header: FrameHeader;
  readonly tensors: TensorAssembler;
}

/**
 * Writes the frames of one message, and waits between them whenever the link is full.
 * @param wanted asked before each frame but the first: false ends the message in the middle
 * @returns nothing when all is written and the link has room; else a promise of whether all was written
 * @throws WeftError when the link is gone already; the promise rejects when it is lost later
 */
export function writeFrames(
  writer: FrameWriter,
  frames: readonly (readonly Uint8Array[])[],
  wanted: () => boolean,
): Promise<boolean> | undefined {
  for (const [index, frame] of frames.entries()) {
    const full = writer.write(frame);
    if (full !== undefined) return writeRest(writer, frames.slice(index + 1), wanted, full);
  }
  return undefined;
}

async function writeRest(
  writer: FrameWriter,
  frames: readonly (readonly Uint8Array[])[],
  wanted: () => boolean,
  full: Promise<void>,
): Promise<boolean> {
  await full;
  for (const frame of frames) {
    if (!wanted()) return false;
    await writer.write(frame);
  }
  return true;
}
