// Where the window opens: where it was, if that can still be seen. Displays come and go between two starts.
import { z } from 'zod';
import type { Rectangle } from './host.ts';
import { WINDOW_VISIBLE_HEIGHT_MIN, WINDOW_VISIBLE_WIDTH_MIN } from './limits.ts';

export const WINDOW_FILE = 'window.json';

export const WINDOW_SIZE = { width: 1_280, height: 820 } as const;
export const WINDOW_SIZE_MIN = { width: 360, height: 480 } as const;

const side = z.int().min(-100_000).max(100_000);
export const WindowPlace = z.object({
  bounds: z.object({ x: side, y: side, width: side, height: side }),
  maximized: z.boolean(),
});
export type WindowPlace = z.infer<typeof WindowPlace>;

/**
 * Bounds for a new window.
 * @param workAreas what of each display a window can use
 * @returns a size alone where the system is to choose the place
 */
export function windowBounds(
  last: WindowPlace | undefined,
  workAreas: readonly Rectangle[],
): Rectangle | { readonly width: number; readonly height: number } {
  const wanted = last?.bounds;
  const home = wanted === undefined ? undefined : workAreas.find((area) => isReachable(wanted, area));
  if (wanted === undefined || home === undefined) {
    const largest = workAreas.reduce((best, area) => Math.max(best, area.width), 0) || WINDOW_SIZE.width;
    const tallest = workAreas.reduce((best, area) => Math.max(best, area.height), 0) || WINDOW_SIZE.height;
    return { width: Math.min(WINDOW_SIZE.width, largest), height: Math.min(WINDOW_SIZE.height, tallest) };
  }
  return {
    x: wanted.x,
    y: Math.max(wanted.y, home.y),
    width: between(wanted.width, WINDOW_SIZE_MIN.width, home.width),
    height: between(wanted.height, WINDOW_SIZE_MIN.height, home.height),
  };
}

/** Enough of its upper edge lies on the display to take hold of it. */
function isReachable(window: Rectangle, area: Rectangle): boolean {
  const visibleWidth = Math.min(window.x + window.width, area.x + area.width) - Math.max(window.x, area.x);
  const top = window.y - area.y;
  return (
    visibleWidth >= WINDOW_VISIBLE_WIDTH_MIN && top > -window.height && top <= area.height - WINDOW_VISIBLE_HEIGHT_MIN
  );
}

const between = (value: number, least: number, most: number): number => Math.max(least, Math.min(most, value));
