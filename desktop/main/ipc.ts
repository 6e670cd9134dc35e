// Answers the pages' messages: only those of the one map, only from the app's own page, only with arguments of the right
// form. A page that is not what it should be gets one sentence and no more.
import { z } from 'zod';
import type { ChooseFileOptions, Notice } from '../shared/bridge.ts';
import type { Asked, AskedChannel, Outcome } from '../shared/channels.ts';
import type { IpcPort, Sender } from './host.ts';
import { SHOWN_TEXT_LENGTH_MAX, URL_LENGTH_MAX } from './limits.ts';
import type { Log } from './log.ts';
import { isOwnPage } from './main-window.ts';
import { PreferenceChanges } from './preferences.ts';

/** What stands behind the channels. */
export type Handlers = {
  readonly [Channel in AskedChannel]: (
    ...args: Asked[Channel]['args']
  ) => Asked[Channel]['result'] | Promise<Asked[Channel]['result']>;
};

const none = z.tuple([]);
const words = z.string().max(SHOWN_TEXT_LENGTH_MAX * 4);
const notice: z.ZodType<Notice> = z.strictObject({ title: words, body: words });
const chooseFile: z.ZodType<ChooseFileOptions> = z.strictObject({
  title: words.optional(),
  kind: z.enum(['file', 'folder', 'save']),
  extensions: z
    .array(z.string().regex(/^[a-z0-9]{1,12}$/))
    .max(16)
    .optional(),
  // A name, not a place.
  name: z
    .string()
    .max(128)
    .regex(/^[^/\\]*$/)
    .optional(),
}) as z.ZodType<ChooseFileOptions>;

/** The arguments of every channel. */
const ARGUMENTS: Readonly<Record<AskedChannel, z.ZodType>> = {
  'weft:state': none,
  'weft:start-node': none,
  'weft:stop-node': none,
  'weft:restart-node': none,
  'weft:set-preferences': z.tuple([PreferenceChanges]),
  'weft:set-sharing': z.tuple([z.enum(['on', 'paused'])]),
  'weft:open-logs': none,
  'weft:open-external': z.tuple([z.string().max(URL_LENGTH_MAX)]),
  'weft:notify': z.tuple([notice]),
  'weft:take-link': none,
  'weft:check-for-updates': none,
  'weft:download-update': none,
  'weft:install-update': none,
  'weft:choose-file': z.tuple([chooseFile]),
};

export interface IpcComponents {
  readonly ipc: IpcPort;
  readonly log: Log;
  readonly handlers: Handlers;
  /** Tests leave it out to show what it stops. @default isTrusted */
  readonly isTrusted?: (sender: Sender) => boolean;
}

/** True for the page itself: not for a frame in it, not for a page of elsewhere that has got into the window. */
export function isTrusted({ url, isMainFrame }: Sender): boolean {
  return isMainFrame && isOwnPage(url);
}

/** Registers every channel. */
export function answerPages({ ipc, log, handlers, isTrusted: trusts = isTrusted }: IpcComponents): void {
  for (const channel of Object.keys(ARGUMENTS) as AskedChannel[]) {
    ipc.handle(channel, async (sender, args): Promise<Outcome<unknown>> => {
      if (!trusts(sender)) {
        log.warn({ channel }, 'a page that is not ours sent a message');
        return { problem: 'This page may not ask that.' };
      }
      const checked = ARGUMENTS[channel].safeParse(args);
      if (!checked.success) return { problem: 'The page asked in a form that is not known.' };
      try {
        const handle = handlers[channel] as (...given: readonly unknown[]) => unknown;
        return { value: await handle(...(checked.data as readonly unknown[])) };
      } catch (error) {
        log.info({ channel, error }, 'a page was refused');
        return { problem: error instanceof Error ? error.message : 'That did not work.' };
      }
    });
  }
}
