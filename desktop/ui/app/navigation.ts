// The views of the app in the order of its navigation, with the key that leads to each behind `g`.
import {
  Boxes,
  ChartNoAxesGantt,
  FlaskConical,
  KeyRound,
  type LucideIcon,
  MessageSquare,
  Network,
  ScrollText,
  Server,
  Settings2,
  Stethoscope,
} from 'lucide-react';
import type { text } from '../text/en.ts';

export interface NavigationItem {
  readonly id: keyof typeof text.app.views;
  readonly path: string;
  readonly icon: LucideIcon;
  /** Behind `g`. */
  readonly key: string;
}

/** Groups: what one does, the mesh, how it is run. */
export const NAVIGATION: readonly (readonly NavigationItem[])[] = [
  [
    { id: 'overview', path: '/', icon: Network, key: 'o' },
    { id: 'chat', path: '/chat', icon: MessageSquare, key: 'c' },
    { id: 'try', path: '/try', icon: FlaskConical, key: 't' },
  ],
  [
    { id: 'models', path: '/models', icon: Boxes, key: 'm' },
    { id: 'nodes', path: '/nodes', icon: Server, key: 'n' },
    { id: 'requests', path: '/requests', icon: ChartNoAxesGantt, key: 'r' },
  ],
  [
    { id: 'access', path: '/access', icon: KeyRound, key: 'a' },
    { id: 'settings', path: '/settings', icon: Settings2, key: 's' },
    { id: 'logs', path: '/logs', icon: ScrollText, key: 'l' },
    { id: 'doctor', path: '/doctor', icon: Stethoscope, key: 'd' },
  ],
];

export const NAVIGATION_ITEMS: readonly NavigationItem[] = NAVIGATION.flat();

/** In the bar of narrow screens; the others are behind "More". */
export const NARROW_ITEMS: readonly NavigationItem['id'][] = ['overview', 'chat', 'models', 'nodes'];

/** Whether an address belongs to an item. */
export const isAt = (path: string, location: string): boolean =>
  path === '/' ? location === '/' : location === path || location.startsWith(`${path}/`);
