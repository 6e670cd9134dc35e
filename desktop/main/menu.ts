// The application's menu: the system's standard entries, with its own words and keys, and the pages.
import type { MenuLine } from './host.ts';

export interface MenuActions {
  readonly open: (path?: string) => void;
  readonly openLogs: () => void;
}

const SEPARATOR: MenuLine = { kind: 'separator' };
const role = (name: Extract<MenuLine, { readonly kind: 'role' }>['role']): MenuLine => ({ kind: 'role', role: name });

/** Pages that the menu leads to, with their keys. */
const PAGES = [
  ['Overview', '/', 'CmdOrCtrl+1'],
  ['Chat', '/chat', 'CmdOrCtrl+2'],
  ['Models', '/models', 'CmdOrCtrl+3'],
  ['Nodes', '/nodes', 'CmdOrCtrl+4'],
  ['Requests', '/requests', 'CmdOrCtrl+5'],
] as const;

/** @param init.developer adds what only a checkout needs */
export function applicationMenu(
  actions: MenuActions,
  init: { readonly platform: NodeJS.Platform; readonly developer: boolean },
): readonly MenuLine[] {
  const isMac = init.platform === 'darwin';
  const settings: MenuLine = {
    kind: 'item',
    label: 'Settings…',
    accelerator: 'CmdOrCtrl+,',
    onClick: () => actions.open('/settings'),
  };
  const app: MenuLine = {
    kind: 'menu',
    label: 'Weft',
    lines: [
      role('about'),
      SEPARATOR,
      settings,
      SEPARATOR,
      role('services'),
      SEPARATOR,
      role('hide'),
      role('hideOthers'),
      role('unhide'),
      SEPARATOR,
      role('quit'),
    ],
  };
  return [
    ...(isMac ? [app] : []),
    {
      kind: 'menu',
      label: 'File',
      lines: isMac ? [role('close')] : [settings, SEPARATOR, role('close'), role('quit')],
    },
    {
      kind: 'menu',
      label: 'Edit',
      lines: [role('undo'), role('redo'), SEPARATOR, role('cut'), role('copy'), role('paste'), role('selectAll')],
    },
    {
      kind: 'menu',
      label: 'View',
      lines: [
        ...PAGES.map(
          ([label, path, accelerator]): MenuLine => ({
            kind: 'item',
            label,
            accelerator,
            onClick: () => actions.open(path),
          }),
        ),
        SEPARATOR,
        role('reload'),
        role('resetZoom'),
        role('zoomIn'),
        role('zoomOut'),
        role('togglefullscreen'),
        ...(init.developer ? [role('toggleDevTools')] : []),
      ],
    },
    {
      kind: 'menu',
      label: 'Window',
      role: 'window',
      lines: [role('minimize'), role('zoom'), ...(isMac ? [SEPARATOR, role('front')] : [])],
    },
    {
      kind: 'menu',
      label: 'Help',
      role: 'help',
      lines: [
        { kind: 'item', label: 'Doctor', onClick: () => actions.open('/doctor') },
        { kind: 'item', label: 'Open the logs folder', onClick: actions.openLogs },
        ...(isMac ? [] : [SEPARATOR, role('about')]),
      ],
    },
  ];
}
