// Requests that travel on the links, drawn onto one canvas over the map: hundreds a second cost as much as one. Draws only while
// something travels, and not at all for those who want no motion.
import { useStoreApi } from '@xyflow/react';
import { type ReactNode, useEffect, useRef } from 'react';
import { useTheme } from '../../app/theme.ts';
import { hub, liveRequests } from '../../data/events.ts';
import { nodeHue } from '../../text/format.ts';
import { type Dot, dotsAfter, TRAVEL_MS } from './flows.ts';
import type { MapForm, Place } from './layout.ts';

const RADIUS_PX = 3.5;

export interface MapDotsProps {
  /** Middles of the nodes, with this node at 0, 0. */
  readonly places: ReadonlyMap<string, Place>;
  readonly form: MapForm;
}

export function MapDots({ places, form }: MapDotsProps): ReactNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const store = useStoreApi();
  const theme = useTheme();
  const latest = useRef({ places, form });
  latest.current = { places, form };

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are those of the theme
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (element === null || context == null || matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    const style = getComputedStyle(element);
    const tone = `${style.getPropertyValue('--node-lightness')} ${style.getPropertyValue('--node-chroma')}`;
    let dots: readonly Dot[] = [];
    let frame = 0;
    const draw = (nowMs: number): void => {
      const ratio = devicePixelRatio;
      const { clientWidth, clientHeight } = element;
      if (element.width !== clientWidth * ratio) element.width = clientWidth * ratio;
      if (element.height !== clientHeight * ratio) element.height = clientHeight * ratio;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, element.width, element.height);
      dots = dots.filter(({ startMs }) => nowMs - startMs < TRAVEL_MS);
      const [x, y, zoom] = store.getState().transform;
      context.setTransform(zoom * ratio, 0, 0, zoom * ratio, x * ratio, y * ratio);
      for (const { node, outward, startMs } of dots) {
        const to = latest.current.places.get(node);
        if (to === undefined) continue;
        const gone = eased(Math.max(0, nowMs - startMs) / TRAVEL_MS);
        const part = outward ? gone : 1 - gone;
        const at = { x: to.x * part, y: to.y * part };
        if (isCovered(at, latest.current)) continue;
        context.beginPath();
        context.arc(at.x, at.y, RADIUS_PX, 0, Math.PI * 2);
        context.fillStyle = `oklch(${tone} ${nodeHue(node)})`;
        context.fill();
      }
      frame = dots.length > 0 ? requestAnimationFrame(draw) : 0;
    };
    const unsubscribe = hub.onBatch((events) => {
      dots = dotsAfter(dots, events, liveRequests(), performance.now());
      if (dots.length > 0 && frame === 0) frame = requestAnimationFrame(draw);
    });
    return () => {
      unsubscribe();
      cancelAnimationFrame(frame);
    };
  }, [store, theme]);

  return <canvas ref={canvas} aria-hidden className="pointer-events-none absolute inset-0 h-full w-full" />;
}

/** Behind a card, where nobody would see it. */
function isCovered({ x, y }: Place, { places, form }: MapDotsProps): boolean {
  const within = (place: Place): boolean =>
    Math.abs(x - place.x) * 2 < form.nodeWidth && Math.abs(y - place.y) * 2 < form.nodeHeight;
  return within({ x: 0, y: 0 }) || places.values().some(within);
}

/** Slow at both ends. */
const eased = (part: number): number => part * part * (3 - 2 * part);
