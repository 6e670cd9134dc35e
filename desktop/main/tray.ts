// The tray, or menu bar: how things stand at a glance, and the few things that one does without the window.
import type { DesktopState } from '../shared/bridge.ts';
import type { DesktopPort, MenuLine, TrayPort } from './host.ts';
import type { Log } from './log.ts';
import type { MeshView } from './node-events.ts';

/** Pictures in the resources; each has one of twice the size, and on macOS they are templates that take on its colour. */
export type TrayImage = 'tray' | 'tray-paused' | 'tray-failed';

export interface TrayActions {
  readonly open: (path?: string) => void;
  readonly setSharing: (sharing: 'on' | 'paused') => void;
  readonly startNode: () => void;
  readonly quit: () => void;
}

/** The state in one line. */
export function statusLine({ node, sharing }: DesktopState): string {
  if (node === 'starting') return 'Starting…';
  if (node === 'stopped') return 'Stopped';
  if (node === 'failed') return 'Not running';
  return sharing === 'paused' ? 'Running, sharing paused' : 'Running';
}

const PAUSE_TEXTS = {
  hand: 'Paused by you',
  battery: 'Paused: on battery',
  metered: 'Paused: metered network',
  working: 'Paused: you are working here',
} as const;

export function trayImage({ node, sharing }: DesktopState): TrayImage {
  if (node === 'failed' || node === 'stopped') return 'tray-failed';
  return sharing === 'paused' ? 'tray-paused' : 'tray';
}

/** The menu behind the icon. */
export function trayLines(state: DesktopState, mesh: MeshView, actions: TrayActions): readonly MenuLine[] {
  const serves = state.node === 'running' || state.node === 'adopted';
  const byHand = state.pausedBy.includes('hand');
  const reasons = state.pausedBy.filter((reason) => reason !== 'hand');
  return [
    { kind: 'item', label: `Weft: ${statusLine(state)}`, enabled: false },
    ...(serves
      ? [
          { kind: 'item', label: `${count(mesh.peers, 'peer')} connected`, enabled: false } as const,
          { kind: 'item', label: `${count(mesh.served, 'request')} served for others`, enabled: false } as const,
        ]
      : []),
    ...reasons.map((reason) => ({ kind: 'item', label: PAUSE_TEXTS[reason], enabled: false }) as const),
    { kind: 'separator' },
    { kind: 'item', label: 'Open Weft', onClick: () => actions.open() },
    ...(serves
      ? [
          {
            kind: 'item',
            label: 'Pause sharing',
            checked: byHand,
            onClick: () => actions.setSharing(byHand ? 'on' : 'paused'),
          } as const,
        ]
      : [
          {
            kind: 'item',
            label: 'Start the node',
            enabled: state.node !== 'starting',
            onClick: actions.startNode,
          } as const,
        ]),
    { kind: 'item', label: 'Settings', onClick: () => actions.open('/settings') },
    { kind: 'separator' },
    { kind: 'item', label: 'Quit Weft', onClick: actions.quit },
  ];
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;

export interface TrayComponents {
  readonly desktop: Pick<DesktopPort, 'createTray'>;
  readonly log: Log;
  readonly actions: TrayActions;
}

export class Tray {
  readonly #components: TrayComponents;
  #port: TrayPort | undefined;
  #shown = '';

  constructor(components: TrayComponents) {
    this.#components = components;
  }

  /** False where the desktop has no tray: closing the window would leave no way back. */
  get isThere(): boolean {
    return this.#port !== undefined;
  }

  start(): void {
    const { desktop, log, actions } = this.#components;
    try {
      this.#port = desktop.createTray('tray');
      this.#port.onClick(() => actions.open());
    } catch (error) {
      log.info({ error }, 'this desktop has no tray');
    }
  }

  show(state: DesktopState, mesh: MeshView): void {
    const lines = trayLines(state, mesh, this.#components.actions);
    const shown = JSON.stringify([trayImage(state), lines]);
    // A menu that is replaced closes in somebody's hand.
    if (this.#port === undefined || shown === this.#shown) return;
    this.#shown = shown;
    this.#port.setImage(trayImage(state));
    this.#port.setTooltip(`Weft: ${statusLine(state)}`);
    this.#port.setMenu(lines);
  }

  stop(): void {
    this.#port?.destroy();
    this.#port = undefined;
  }
}
