// The bridge, made of what a preload script has. Apart from preload.ts, so that it runs without Electron as well.
import type { WeftBridge } from '../shared/bridge.ts';
import type { Asked, AskedChannel, Outcome, Told, ToldChannel } from '../shared/channels.ts';

export interface PreloadComponents {
  expose(name: string, bridge: WeftBridge): void;
  invoke(channel: AskedChannel, ...args: readonly unknown[]): Promise<unknown>;
  /** Returns what ends the subscription. */
  on(channel: ToldChannel, listener: (value: unknown) => void): () => void;
  readonly appVersion: string;
  readonly platform: string;
  readonly versions: Readonly<Record<string, string | undefined>>;
}

/** Exposes `window.weft`. */
export function exposeBridge(components: PreloadComponents): void {
  const { invoke, on, appVersion, platform, versions } = components;

  const ask = async <Channel extends AskedChannel>(
    channel: Channel,
    ...args: Asked[Channel]['args']
  ): Promise<Asked[Channel]['result']> => {
    const outcome = (await invoke(channel, ...args)) as Outcome<Asked[Channel]['result']>;
    if ('problem' in outcome) throw new Error(outcome.problem);
    return outcome.value;
  };
  const hear = <Channel extends ToldChannel>(
    channel: Channel,
    listener: (value: Told[Channel]) => void,
  ): (() => void) => on(channel, (value) => listener(value as Told[Channel]));

  components.expose('weft', {
    platform,
    versions: { app: appVersion, electron: versions.electron ?? '', chrome: versions.chrome ?? '' },
    state: () => ask('weft:state'),
    onState: (listener) => hear('weft:state-changed', listener),
    startNode: () => ask('weft:start-node'),
    stopNode: () => ask('weft:stop-node'),
    restartNode: () => ask('weft:restart-node'),
    setPreferences: (changes) => ask('weft:set-preferences', changes),
    setSharing: (sharing) => ask('weft:set-sharing', sharing),
    openLogs: () => ask('weft:open-logs'),
    openExternal: (url) => ask('weft:open-external', url),
    notify: (notice) => ask('weft:notify', notice),
    onDeepLink(listener) {
      let ended = false;
      const take = (): void => {
        if (ended) return;
        void ask('weft:take-link').then(
          (link) => link !== undefined && listener(link),
          () => undefined, // The window is closing: there is nobody left to tell.
        );
      };
      const end = hear('weft:link-opened', take);
      // One that opened the app came before any page could listen. Not at once: a listener that is taken back in the same
      // breath, as React tries its effects, would take the link with it.
      queueMicrotask(take);
      return () => {
        ended = true;
        end();
      };
    },
    onNavigate: (listener) => hear('weft:navigate', listener),
    checkForUpdates: () => ask('weft:check-for-updates'),
    downloadUpdate: () => ask('weft:download-update'),
    installUpdate: () => ask('weft:install-update'),
    chooseFile: (options) => ask('weft:choose-file', options),
  });
}
