// One setting: what it is, what it is now and why, and its editor, with what the node has against a value beside it.
import { Lock, RotateCcw } from 'lucide-react';
import { type ReactNode, useId, useState } from 'react';
import { Badge } from '../../components/badge.tsx';
import { IconButton } from '../../components/button.tsx';
import { useToast } from '../../components/toast.tsx';
import type { ApiError } from '../../data/client.ts';
import { useChangeConfig } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeText } from '../../text/format.ts';
import { comingValue, editorOf, fixedBy, isPending, type Setting, valueText } from './editor-of.ts';
import { SettingEditor } from './editors.tsx';
import { titleOf } from './groups.ts';

export interface SettingRowProps {
  readonly setting: Setting;
  /** Undefined: the node behind the page. */
  readonly node: string | undefined;
}

export function SettingRow({ setting, node }: SettingRowProps): ReactNode {
  const { name, source, live } = setting;
  const id = useId();
  const toast = useToast();
  const change = useChangeConfig(node);
  const [problem, setProblem] = useState<ApiError>();
  const title = titleOf(name);
  const fixed = fixedBy(setting, node !== undefined);
  const value = comingValue(setting);
  const pending = isPending(setting);
  const save = (next: unknown): void => {
    setProblem(undefined);
    change.mutate(
      { [name]: next },
      {
        onSuccess: ({ settings }) => {
          const waits = settings.some((each) => each.name === name && isPending(each));
          toast.done(waits ? text.settings.savedForNext(title) : text.settings.saved(title));
        },
        onError: setProblem,
      },
    );
  };
  const told = problem === undefined ? undefined : `${safeText(problem.message)} ${safeText(problem.remedy)}`.trim();
  return (
    <div
      data-setting={name}
      className="grid gap-x-8 gap-y-2 border-line border-b px-4 py-3 last:border-b-0 sm:grid-cols-[minmax(0,1fr)_minmax(0,18rem)]"
    >
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
          <label htmlFor={id} className="font-medium text-sm">
            {safeText(title)}
          </label>
          {source === 'file' && <Badge tone="accent">{text.settings.sources.file}</Badge>}
          {pending && <Badge tone="warn">{text.settings.pending}</Badge>}
        </div>
        <p id={`${id}-about`} className="mt-0.5 max-w-prose text-muted text-sm">
          {text.settings.names[name]?.about ?? text.settings.expects(safeText(setting.expected))}
        </p>
        <p className="mt-1 flex flex-wrap gap-x-2 text-faint text-xs">
          <code className="font-mono">{safeText(name)}</code>
          {source === 'default' && !pending && <span>· {text.settings.sources.default}</span>}
          {fixed === undefined && <span>· {live ? text.settings.atOnce : text.settings.atStart}</span>}
        </p>
      </div>
      <div className="flex min-w-0 items-start gap-1">
        <div className="min-w-0 grow">
          {fixed === undefined ? (
            <SettingEditor
              key={JSON.stringify(value)}
              editor={editorOf(setting)}
              title={title}
              value={value}
              busy={change.isPending}
              ids={{
                id,
                'aria-describedby': told === undefined ? `${id}-about` : `${id}-told`,
                ...(told === undefined ? {} : { 'aria-invalid': true as const }),
              }}
              onTouched={() => setProblem(undefined)}
              onSave={save}
            />
          ) : (
            <Fixed setting={setting} by={fixed} />
          )}
          {told !== undefined && (
            <p id={`${id}-told`} role="alert" className="mt-1 break-words text-bad text-xs">
              {told}
            </p>
          )}
          {pending && (
            <p className="mt-1 break-words text-muted text-xs">
              {text.settings.now(safeText(valueText(setting.value, text.settings)))}
            </p>
          )}
        </div>
        {fixed === undefined && (
          // Where there is nothing to reset its place stays empty, so that the editors stand in one line.
          <span className="w-8 shrink-0">
            {(source === 'file' || pending) && (
              <IconButton
                label={text.settings.resetOf(title)}
                icon={<RotateCcw />}
                disabled={change.isPending}
                onClick={() => save(null)}
              />
            )}
          </span>
        )}
      </div>
    </div>
  );
}

/** A value that can't be changed here, with the reason. */
function Fixed({
  setting,
  by,
}: {
  readonly setting: Setting;
  readonly by: NonNullable<ReturnType<typeof fixedBy>>;
}): ReactNode {
  const { name, value, flag, env } = setting;
  const reason = {
    flag: text.settings.fixedBy.flag(safeText(flag)),
    environment: text.settings.fixedBy.environment(safeText(env)),
    local: text.settings.fixedLocal,
    secret: name === 'apiKey' ? text.settings.fixedSecret.apiKey : text.settings.fixedSecret.other(safeText(env)),
  }[by];
  // A node that was given no key has made one.
  const unset = name === 'apiKey' ? text.settings.madeByNode : text.settings.notSet;
  const secret = value === null ? unset : text.settings.set;
  const shown = by === 'secret' ? secret : safeText(valueText(value, text.settings));
  return (
    <div data-fixed={by}>
      <p className="flex min-h-8 items-center gap-2 rounded-md border border-line border-dashed bg-sunken px-2.5 py-1 text-sm">
        <Lock aria-hidden className="size-3.5 shrink-0 text-faint" />
        <bdi className="min-w-0 break-all">{shown}</bdi>
      </p>
      <p className="mt-1 text-muted text-xs">{reason}</p>
    </div>
  );
}
