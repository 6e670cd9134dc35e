// Every setting of a node, grouped and searched. The same form for the node behind the page and for any other that one may manage.
import { Search } from 'lucide-react';
import { type ReactNode, useId, useRef, useState } from 'react';
import { Button } from '../../components/button.tsx';
import { Empty, Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { SearchField } from '../../components/search-field.tsx';
import { Segments } from '../../components/segments.tsx';
import { useConfig } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeText } from '../../text/format.ts';
import { type Restart, RestartButton } from '../nodes/restart.tsx';
import { isPending } from './editor-of.ts';
import { groupsOf } from './groups.ts';
import { SettingRow } from './setting-row.tsx';

/** A group that is not the node's. */
export interface ExtraGroup {
  readonly id: string;
  readonly title: string;
  readonly note?: string;
  readonly body: ReactNode;
}

export interface SettingsFormProps {
  /** Undefined: the node behind the page. */
  readonly node?: string | undefined;
  readonly name: string;
  /** For what waits for the next start. */
  readonly restart: Restart;
  /** Below the others, while nothing is searched. */
  readonly extra?: readonly ExtraGroup[];
}

export function SettingsForm({ node, name, restart, extra = [] }: SettingsFormProps): ReactNode {
  const { data, error, refetch } = useConfig({ node });
  const [words, setWords] = useState('');
  const [shown, setShown] = useState<'all' | 'changed'>('all');
  const body = useRef<HTMLDivElement>(null);
  const ids = useId();
  if (data === undefined) {
    return error === null ? (
      <Skeleton lines={6} className="max-w-2xl pt-2" />
    ) : (
      <Failed error={error} onRetry={() => void refetch()} />
    );
  }
  const groups = groupsOf(data.settings, { words, onlyChanged: shown === 'changed' });
  const changed = groupsOf(data.settings, { words: '', onlyChanged: true }).flatMap(({ settings }) => settings).length;
  const waiting = data.settings.filter(isPending).length;
  const extras = words.trim() === '' && shown === 'all' ? extra : [];
  const parts = [
    ...groups.map(({ id }) => ({ id: id as string, title: text.settings.groups[id] })),
    ...extras.map(({ id, title }) => ({ id, title })),
  ];
  const goTo = (id: string): void => {
    const part = body.current?.querySelector(`[data-group="${id}"]`);
    part?.scrollIntoView({ block: 'start' });
    part?.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true });
  };
  return (
    <>
      {data.problem !== undefined && (
        <div
          role="alert"
          className="mb-4 rounded-lg border border-line border-l-2 border-l-bad bg-panel px-4 py-3 text-sm"
        >
          <p className="font-medium">{text.settings.fileProblem}</p>
          <p className="mt-0.5 break-words text-muted">{safeText(data.problem)}</p>
        </div>
      )}
      {waiting > 0 && (
        <div
          data-waiting={waiting}
          className="mb-4 flex flex-wrap items-center gap-x-4 gap-y-2 rounded-lg border border-line border-l-2 border-l-warn bg-panel px-4 py-2.5"
        >
          <div className="min-w-0 grow text-sm">
            <p className="font-medium">{text.settings.waiting(waiting)}</p>
            <p className="text-muted">{text.settings.waitingText}</p>
          </div>
          <RestartButton name={name} restart={restart} small />
        </div>
      )}
      <div className="grid items-start gap-x-8 xl:grid-cols-[10.5rem_minmax(0,56rem)]">
        <nav aria-label={text.settings.groupsOf} className="sticky top-4 max-xl:hidden">
          <ul className="border-line border-l">
            {parts.map(({ id, title }) => (
              <li key={id}>
                <button
                  type="button"
                  onClick={() => goTo(id)}
                  className="-ml-px block w-full rounded-r-sm border-transparent border-l-2 px-3 py-1 text-left text-muted text-sm hover:border-accent hover:text-ink"
                >
                  {title}
                </button>
              </li>
            ))}
          </ul>
        </nav>
        <div ref={body} className="flex min-w-0 flex-col gap-6">
          <div className="flex flex-wrap items-center gap-2">
            <SearchField
              label={text.settings.search}
              value={words}
              onChange={setWords}
              className="min-w-48 grow sm:max-w-80"
            />
            <Segments
              size="medium"
              label={text.settings.show}
              value={shown}
              onChange={setShown}
              options={[
                { value: 'all', label: text.settings.shows.all },
                { value: 'changed', label: text.settings.shows.changed, count: changed },
              ]}
            />
          </div>
          {groups.length === 0 && (
            <div className="rounded-lg border border-line bg-panel">
              <Empty
                title={words.trim() === '' ? text.settings.noneChanged : text.settings.noneMatch}
                icon={<Search />}
                action={
                  <Button
                    onClick={() => {
                      setWords('');
                      setShown('all');
                    }}
                  >
                    {text.settings.shows.all}
                  </Button>
                }
              >
                {words.trim() === '' ? undefined : text.settings.noneMatchText}
              </Empty>
            </div>
          )}
          {groups.map(({ id, settings }) => (
            <Group key={id} id={id} labelId={`${ids}-${id}`} title={text.settings.groups[id]}>
              {settings.map((setting) => (
                <SettingRow key={setting.name} setting={setting} node={node} />
              ))}
            </Group>
          ))}
          {extras.map(({ id, title, note, body: part }) => (
            <Group key={id} id={id} labelId={`${ids}-${id}`} title={title} note={note}>
              {part}
            </Group>
          ))}
          <p className="break-all text-faint text-xs">
            {text.settings.file} <code className="font-mono">{safeText(data.file)}</code>
          </p>
        </div>
      </div>
    </>
  );
}

function Group({
  id,
  labelId,
  title,
  note,
  children,
}: {
  readonly id: string;
  readonly labelId: string;
  readonly title: string;
  readonly note?: string | undefined;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <section data-group={id} aria-labelledby={labelId} className="scroll-mt-4">
      <h2 id={labelId} tabIndex={-1} className="mb-2 flex items-baseline gap-2 font-semibold text-base outline-none">
        {title}
        {note !== undefined && <span className="font-normal text-faint text-xs">{note}</span>}
      </h2>
      <div className="rounded-lg border border-line bg-panel">{children}</div>
    </section>
  );
}
