// One line of a log, and its fields when it is opened. Whatever it says is shown as text, with nothing in it hidden.
import { ChevronRight } from 'lucide-react';
import { memo, type ReactNode } from 'react';
import { classes } from '../../components/class-names.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { text } from '../../text/en.ts';
import { fieldsText, type KeptLine, type Level, lineText, timeText, valueText, visible } from './log-model.ts';

const TONES: Readonly<Record<Level, string>> = {
  debug: 'text-faint',
  info: 'text-muted',
  warn: 'text-warn',
  error: 'text-bad',
};

export interface LogLineProps {
  readonly line: KeptLine;
  readonly open: boolean;
  readonly onToggle: (key: number) => void;
}

export const LogRow = memo(function LogRow({ line, open, onToggle }: LogLineProps): ReactNode {
  const { atMs, level, message, key } = line;
  const fields = fieldsText(line);
  return (
    <div
      data-level={level}
      className={classes(
        'border-transparent border-l-2 font-mono text-[0.8125rem] leading-5',
        level === 'error' && 'border-l-bad',
        level === 'warn' && 'border-l-warn',
        open && 'bg-sunken',
      )}
    >
      <button
        type="button"
        aria-expanded={open}
        onClick={() => onToggle(key)}
        className="flex w-full items-baseline gap-x-3 px-3 py-0.5 text-left hover:bg-sunken focus-visible:-outline-offset-2 sm:px-4"
      >
        <ChevronRight
          aria-hidden
          className={classes('size-3 shrink-0 self-center text-faint transition-transform', open && 'rotate-90')}
        />
        <time dateTime={new Date(atMs).toISOString()} className="shrink-0 text-faint max-sm:hidden">
          {timeText(atMs)}
        </time>
        <span className={classes('w-11 shrink-0', TONES[level])}>{text.logs.levelWords[level]}</span>
        <bdi className={classes('min-w-0', open ? 'whitespace-pre-wrap break-words' : 'truncate')}>
          {visible(message)}
          {!open && fields !== '' && <span className="text-faint"> {visible(fields)}</span>}
        </bdi>
      </button>
      {open && (
        <div className="flex items-start gap-2 px-3 pb-2 pl-9 sm:px-4 sm:pl-10">
          <div className="min-w-0 grow text-xs">
            <p className="text-faint sm:hidden">{timeText(atMs)}</p>
            {fields === '' ? (
              <p className="text-faint">{text.logs.noFields}</p>
            ) : (
              <dl aria-label={text.logs.fields} className="grid grid-cols-[fit-content(40%)_minmax(0,1fr)] gap-x-4">
                {Object.entries(line.fields).map(([name, value]) => (
                  <div key={name} className="col-span-2 grid grid-cols-subgrid">
                    <dt className="break-all text-muted">{visible(name)}</dt>
                    <dd className="whitespace-pre-wrap break-all">
                      <bdi>{visible(valueText(value))}</bdi>
                    </dd>
                  </div>
                ))}
              </dl>
            )}
          </div>
          <CopyButton value={lineText(line)} label={text.logs.copyLine} />
        </div>
      )}
    </div>
  );
});
