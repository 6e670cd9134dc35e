// A node's log: live, by level and words, paused where one reads, however long it grows. Fills the element that it stands in.
import { Eraser, Pause, Play, ScrollText, Search } from 'lucide-react';
import { type ReactNode, useCallback, useMemo, useState } from 'react';
import { Button, IconButton } from '../../components/button.tsx';
import { CopyButton } from '../../components/copy-button.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Select } from '../../components/field.tsx';
import { SearchField } from '../../components/search-field.tsx';
import { VirtualList } from '../../components/virtual-list.tsx';
import { text } from '../../text/en.ts';
import { count } from '../../text/format.ts';
import { LogRow } from './log-line.tsx';
import { filterLines, LEVELS, type Level, lineText } from './log-model.ts';
import { useLog } from './use-log.ts';

/** Lines that are copied: more is a file, not a clipboard. */
const COPIED_MAX = 5_000;

const ROW_PX = 24;

export interface LogPaneProps {
  /** Undefined: the node behind the page. */
  readonly node?: string | undefined;
}

export function LogPane({ node }: LogPaneProps): ReactNode {
  const [paused, setPaused] = useState(false);
  const [level, setLevel] = useState<Level>('info');
  const [words, setWords] = useState('');
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const { log, loading, error, readAgain, clear, waiting, live } = useLog(node, paused);
  const shown = useMemo(() => filterLines(log.lines, { level, words }), [log.lines, level, words]);
  const toggle = useCallback((key: number) => {
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  }, []);
  const filtered = level !== 'debug' || words.trim() !== '';
  return (
    <div className="flex min-h-0 grow flex-col bg-panel">
      <div className="flex shrink-0 flex-wrap items-center gap-2 border-line border-b px-3 py-2 sm:px-4">
        <Select
          aria-label={text.logs.level}
          className="w-28"
          value={level}
          onChange={(next) => setLevel(next as Level)}
          options={LEVELS.map((value) => ({ value, label: text.logs.levels[value] }))}
        />
        <SearchField
          label={text.logs.filter}
          value={words}
          onChange={setWords}
          className="min-w-36 grow max-sm:order-first max-sm:w-full sm:max-w-96"
        />
        <div className="ml-auto flex items-center gap-1.5">
          <Button
            icon={paused ? <Play /> : <Pause />}
            aria-pressed={paused}
            onClick={() => setPaused((before) => !before)}
          >
            {paused ? text.logs.resume : text.logs.pause}
          </Button>
          <IconButton label={text.logs.clear} icon={<Eraser />} onClick={clear} />
          <CopyButton
            size="medium"
            label={text.logs.copyAll}
            value={() => shown.slice(-COPIED_MAX).map(lineText).join('\n')}
          />
        </div>
      </div>
      {error !== undefined && (
        <div className="shrink-0 p-3">
          <Failed error={error} onRetry={readAgain} compact />
        </div>
      )}
      {shown.length > 0 ? (
        <VirtualList
          label={text.logs.list}
          items={shown}
          itemKey={({ key }) => String(key)}
          row={(line) => <LogRow line={line} open={open.has(line.key)} onToggle={toggle} />}
          estimatePx={ROW_PX}
          follow={!paused}
          className="grow py-1"
        />
      ) : (
        <div className="min-h-0 grow overflow-y-auto">
          {loading ? (
            <Skeleton lines={8} className="p-4" />
          ) : filtered && log.lines.length > 0 ? (
            <Empty
              title={text.logs.noneTitle}
              icon={<Search />}
              action={
                <Button
                  onClick={() => {
                    setLevel('debug');
                    setWords('');
                  }}
                >
                  {text.logs.clearFilter}
                </Button>
              }
            >
              {text.logs.noneText}
            </Empty>
          ) : (
            error === undefined && (
              <Empty title={text.logs.emptyTitle} icon={<ScrollText />}>
                {text.logs.emptyText}
              </Empty>
            )
          )}
        </div>
      )}
      <footer className="flex min-h-8 shrink-0 flex-wrap items-center gap-x-4 border-line border-t px-3 text-faint text-xs sm:px-4">
        <span role="status" className="tabular">
          {paused ? text.logs.paused(waiting) : text.logs.shown(count(shown.length), count(log.lines.length))}
        </span>
        {log.dropped > 0 && <span className="min-w-0 truncate">{text.logs.dropped(count(log.dropped))}</span>}
        <span className="ml-auto">{live ? text.logs.live : text.logs.notLive}</span>
      </footer>
    </div>
  );
}
