// What the desktop app gives beside the node's API; undefined in a browser. Read anew each time: tests put their own in its place.
import type { WeftBridge } from '../../shared/bridge.ts';

export const bridge = (): WeftBridge | undefined => window.weft;
