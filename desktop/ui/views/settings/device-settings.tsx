// Settings that are no node's: how this window looks, and, in the desktop app, what the app does by itself.
import { type ReactNode, useEffect, useState } from 'react';
import type { DesktopState, Preferences } from '../../../shared/bridge.ts';
import { bridge } from '../../app/bridge.ts';
import { setThemeChoice, type ThemeChoice, useThemeChoice } from '../../app/theme.ts';
import { Button } from '../../components/button.tsx';
import { Skeleton } from '../../components/empty.tsx';
import { Segments } from '../../components/segments.tsx';
import { Switch } from '../../components/switch.tsx';
import { useToast } from '../../components/toast.tsx';
import { text } from '../../text/en.ts';
import { percent, safeText } from '../../text/format.ts';

const THEMES: readonly ThemeChoice[] = ['system', 'light', 'dark'];

export function WindowSettings(): ReactNode {
  const choice = useThemeChoice();
  return (
    <Row title={text.settings.appearance} about={text.settings.appearanceAbout}>
      <Segments
        size="medium"
        label={text.settings.appearance}
        value={choice}
        onChange={setThemeChoice}
        options={THEMES.map((value) => ({ value, label: text.app.themes[value] }))}
      />
    </Row>
  );
}

/** Undefined until the app has told. */
function useDesktopState(): DesktopState | undefined {
  const [state, setState] = useState<DesktopState>();
  useEffect(() => {
    const app = bridge();
    if (app === undefined) return;
    const end = app.onState(setState);
    void app.state().then(setState, () => undefined); // the next state comes by itself
    return end;
  }, []);
  return state;
}

export function AppSettings(): ReactNode {
  const state = useDesktopState();
  const toast = useToast();
  const app = bridge();
  if (state === undefined || app === undefined) return <Skeleton className="p-4" />;
  const { preferences, pausedBy, sharingDetail } = state;
  const tell = (told: Promise<void>): void => {
    told.catch((error: unknown) => toast.failed(text.settings.preferenceFailed, error));
  };
  const toggle = (key: Exclude<keyof Preferences, 'theme'>, label: string): ReactNode => (
    <Switch label={label} checked={preferences[key]} onChange={(on) => tell(app.setPreferences({ [key]: on }))} />
  );
  const reasons = pausedBy.map((reason) => text.settings.pausedBy[reason]).join(', ');
  return (
    <>
      <Row title={text.settings.startAtLogin} about={text.settings.startAtLoginAbout}>
        {toggle('startAtLogin', text.settings.startAtLogin)}
      </Row>
      <Row title={text.settings.notifications} about={text.settings.notificationsAbout}>
        {toggle('notifications', text.settings.notifications)}
      </Row>
      <Row
        title={text.settings.sharing}
        about={text.settings.sharingAbout}
        more={
          <>
            {state.sharing === 'paused' && text.settings.pausedNow(reasons)}
            {sharingDetail !== undefined && ` ${safeText(sharingDetail)}`}
          </>
        }
      >
        <Switch
          label={text.settings.sharing}
          checked={!pausedBy.includes('hand')}
          onChange={(on) => tell(app.setSharing(on ? 'on' : 'paused'))}
        />
      </Row>
      <Row title={text.settings.pauses} about={text.settings.pausesAbout}>
        <div className="flex flex-col gap-2">
          {(['pauseOnBattery', 'pauseOnMetered', 'pauseWhileWorking'] as const).map((key) => (
            <div key={key} className="flex items-center justify-between gap-4 text-sm">
              <span>{text.settings[key]}</span>
              {toggle(key, text.settings[key])}
            </div>
          ))}
        </div>
      </Row>
      <Updates update={state.update} tell={tell} />
    </>
  );
}

function Updates({
  update,
  tell,
}: {
  readonly update: DesktopState['update'];
  readonly tell: (told: Promise<void>) => void;
}): ReactNode {
  const app = bridge();
  if (app === undefined) return null;
  const { phase } = update;
  const about =
    phase === 'downloading'
      ? text.settings.update.downloading(safeText(update.version), percent(update.fraction))
      : phase === 'available' || phase === 'ready'
        ? text.settings.update[phase](safeText(update.version))
        : text.settings.update[phase];
  return (
    <Row
      title={text.settings.updates}
      about={about}
      more={
        phase === 'failed' || phase === 'off' ? safeText(update.detail) : text.settings.appVersion(app.versions.app)
      }
    >
      {phase === 'available' ? (
        <Button onClick={() => tell(app.downloadUpdate())}>{text.settings.updateDownload}</Button>
      ) : phase === 'ready' ? (
        <Button kind="primary" onClick={() => tell(app.installUpdate())}>
          {text.settings.updateInstall}
        </Button>
      ) : phase === 'off' ? null : (
        <Button busy={phase === 'checking' || phase === 'downloading'} onClick={() => tell(app.checkForUpdates())}>
          {text.settings.updateCheck}
        </Button>
      )}
    </Row>
  );
}

/** One line of such settings, as the node's own look. */
export function Row({
  title,
  about,
  more,
  children,
}: {
  readonly title: string;
  readonly about: string;
  readonly more?: ReactNode;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <div className="grid gap-x-8 gap-y-2 border-line border-b px-4 py-3 last:border-b-0 sm:grid-cols-[minmax(0,1fr)_minmax(0,18rem)]">
      <div className="min-w-0">
        <h3 className="font-medium text-sm">{title}</h3>
        <p className="mt-0.5 max-w-prose text-muted text-sm">{about}</p>
        {more !== undefined && <p className="mt-1 text-faint text-xs">{more}</p>}
      </div>
      <div className="flex items-start sm:justify-end [&>div:not([role])]:grow">{children}</div>
    </div>
  );
}
