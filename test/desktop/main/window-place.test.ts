import { describe, expect, it } from 'vitest';
import { windowBounds } from '../../../desktop/main/window-place.ts';

const DISPLAY = { x: 0, y: 0, width: 1_920, height: 1_040 };
const RIGHT = { x: 1_920, y: 0, width: 1_280, height: 1_000 };
const place = (x: number, y: number, width = 1_000, height = 700) => ({
  bounds: { x, y, width, height },
  maximized: false,
});

describe('windowBounds', () => {
  it('is where the window was', () => {
    expect(windowBounds(place(100, 50), [DISPLAY])).toEqual({ x: 100, y: 50, width: 1_000, height: 700 });
    expect(windowBounds(place(2_000, 20), [DISPLAY, RIGHT])).toMatchObject({ x: 2_000, y: 20 });
  });

  it('leaves the place to the system at first, in a size that fits', () => {
    expect(windowBounds(undefined, [DISPLAY])).toEqual({ width: 1_280, height: 820 });
    expect(windowBounds(undefined, [{ x: 0, y: 0, width: 800, height: 600 }])).toEqual({ width: 800, height: 600 });
    expect(windowBounds(undefined, [])).toEqual({ width: 1_280, height: 820 });
  });

  it.each([
    ['its display is gone', place(2_000, 20)],
    ['it is left of everything', place(-1_500, 20)],
    ['it is above everything', place(100, -900)],
    ['its upper edge is below the screen', place(100, 1_030)],
    ['hardly a corner is seen', place(1_900, 20)],
  ])('starts anew when %s', (_what, last) => {
    expect(windowBounds(last, [DISPLAY])).toEqual({ width: 1_280, height: 820 });
  });

  it('brings the upper edge back onto the display', () => {
    expect(windowBounds(place(100, -20), [DISPLAY])).toMatchObject({ x: 100, y: 0 });
  });

  it('is neither smaller than usable nor larger than the display', () => {
    expect(windowBounds(place(0, 0, 10, 10), [DISPLAY])).toEqual({ width: 1_280, height: 820 });
    expect(windowBounds(place(0, 0, 200, 100), [DISPLAY])).toMatchObject({ width: 360, height: 480 });
    expect(windowBounds(place(0, 0, 9_000, 9_000), [DISPLAY])).toMatchObject({ width: 1_920, height: 1_040 });
  });
});
