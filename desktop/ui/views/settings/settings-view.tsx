// The entry of the view "settings": every setting of the node behind the page, and what this window and the desktop app have of their own.
import type { ReactNode } from 'react';
import { bridge } from '../../app/bridge.ts';
import { Page } from '../../components/page.tsx';
import { useConnection } from '../../data/events.ts';
import { useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { RestartProgress, useRestart } from '../nodes/restart.tsx';
import { AppSettings, WindowSettings } from './device-settings.tsx';
import { SettingsForm } from './settings-form.tsx';
import { SharingNow } from './sharing-now.tsx';

export function SettingsView(): ReactNode {
  const name = useStatus().data?.name ?? text.common.thisNode;
  const restart = useRestart(undefined, useConnection() === 'live');
  return (
    <Page title={text.settings.title} note={text.settings.note}>
      <RestartProgress name={name} restart={restart} />
      <SettingsForm
        name={name}
        restart={restart}
        extra={[
          // The app pauses by reasons of its own, too: there the switch stands among them.
          ...(bridge() === undefined ? [{ id: 'sharing', title: text.settings.sharingNow, body: <SharingNow /> }] : []),
          { id: 'window', title: text.settings.window, note: text.settings.windowNote, body: <WindowSettings /> },
          ...(bridge() === undefined
            ? []
            : [{ id: 'app', title: text.settings.app, note: text.settings.windowNote, body: <AppSettings /> }]),
        ]}
      />
    </Page>
  );
}
