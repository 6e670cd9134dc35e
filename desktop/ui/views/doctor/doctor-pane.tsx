// The examination of a node: what was found in each layer, and what to do. The layers hang on one thread, in the order in which they
// stand on each other.
import { useQueryClient } from '@tanstack/react-query';
import { Stethoscope } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { DoctorAnswer } from '../../../../protocol/api/control.ts';
import { Button } from '../../components/button.tsx';
import { classes } from '../../components/class-names.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { Failed } from '../../components/failed.tsx';
import { Ago } from '../../components/figures.tsx';
import { Segments } from '../../components/segments.tsx';
import { queryKey, useDoctor, usePeers, useStatus } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeName, safeText } from '../../text/format.ts';
import { type Check, type CheckStatus, countsOf, layersOf, needsDoing, reportText, summaryOf } from './report.ts';

export interface DoctorPaneProps {
  /** Undefined: the node behind the page. */
  readonly node?: string | undefined;
}

/** Looks when it is opened for the first time, and when it is asked to. */
export function DoctorPane({ node }: DoctorPaneProps): ReactNode {
  const { data, error, isFetching, refetch, dataUpdatedAt } = useDoctor({ node });
  const client = useQueryClient();
  const status = useStatus().data;
  const peer = usePeers().data?.peers.find((each) => each.node === node);
  const { name = '', version = '' } = (node === undefined ? status : peer) ?? {};
  const lookAgain = (): void => {
    // An old report beside a new failure would be taken for what is so now.
    client.removeQueries({ queryKey: queryKey('doctor', node) });
    void refetch();
  };
  if (data === undefined || isFetching) {
    return error !== null && !isFetching ? (
      <Failed title={text.doctor.failed} error={error} onRetry={() => void refetch()} />
    ) : (
      <Looking />
    );
  }
  return (
    <Report
      report={data}
      actions={
        <>
          <CopyButton
            wordy
            size="medium"
            label={text.doctor.copy}
            value={() => reportText(data, { name: safeName(name), version, atMs: dataUpdatedAt })}
          />
          <Button icon={<Stethoscope />} onClick={lookAgain}>
            {text.doctor.runAgain}
          </Button>
        </>
      }
      lookedAtMs={dataUpdatedAt}
    />
  );
}

const Looking = (): ReactNode => (
  <section
    aria-busy="true"
    data-doctor="looking"
    className="max-w-3xl rounded-lg border border-line bg-panel px-5 py-4"
  >
    <p role="status" className="font-medium text-sm">
      {text.doctor.running}
    </p>
    <p className="mt-0.5 text-muted text-sm">{text.doctor.runningText}</p>
    <div aria-hidden className="thread-busy mt-4 h-0.5 w-full" />
  </section>
);

const KNOTS: Readonly<Record<CheckStatus, string>> = {
  ok: 'border-good bg-good',
  warning: 'border-warn bg-warn',
  failed: 'border-bad bg-bad',
  skipped: 'border-line-strong bg-panel',
};

function Report({
  report,
  actions,
  lookedAtMs,
}: {
  readonly report: DoctorAnswer;
  readonly actions: ReactNode;
  readonly lookedAtMs: number;
}): ReactNode {
  const [shown, setShown] = useState<'all' | 'todo'>('all');
  const todo = report.checks.filter(needsDoing);
  const layers = layersOf(report).filter(({ status }) => shown === 'all' || needsDoing({ status }));
  const failed = todo.some(({ status }) => status === 'failed');
  return (
    <div className="max-w-4xl" data-doctor={report.ok ? 'ok' : 'failed'}>
      <div className="mb-5 flex flex-wrap items-end gap-x-4 gap-y-3">
        <div className="min-w-0 grow">
          <p className={classes('font-semibold text-base', failed && 'text-bad')}>{summaryOf(report)}</p>
          <p className="text-muted text-sm">
            {countsOf(report)}; {text.doctor.lookedAt} <Ago atMs={lookedAtMs} />
          </p>
          {todo.length > 1 && <p className="text-muted text-sm">{text.doctor.beginWithFirst}</p>}
        </div>
        <div className="flex flex-wrap gap-2">{actions}</div>
      </div>
      {todo.length > 0 && (
        <div className="mb-4 flex">
          <Segments
            size="medium"
            label={text.doctor.show}
            value={shown}
            onChange={setShown}
            options={[
              { value: 'all', label: text.doctor.shows.all, count: report.checks.length },
              { value: 'todo', label: text.doctor.shows.todo, count: todo.length },
            ]}
          />
        </div>
      )}
      <ol className="flex flex-col">
        {layers.map(({ id, title, checks, status }) => (
          <li
            key={id}
            data-layer={id}
            className="relative grid grid-cols-[1rem_minmax(0,1fr)] gap-x-3 pb-5 before:absolute before:top-2 before:bottom-0 before:left-[7px] before:w-0.5 before:bg-line last:pb-0 last:before:hidden"
          >
            <span aria-hidden className={classes('relative mt-1 ml-0.5 size-3 rounded-full border-2', KNOTS[status])} />
            <div className="min-w-0">
              <h3 className="font-semibold text-sm">{safeName(title)}</h3>
              <ul className="mt-1 flex flex-col gap-1.5">
                {checks
                  .filter((check) => shown === 'all' || needsDoing(check))
                  .map((check, at) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: checks of one name stay in their order
                    <CheckLine key={at} check={check} />
                  ))}
              </ul>
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}

const WORDS: Readonly<Record<CheckStatus, string>> = {
  ok: 'text-good',
  warning: 'text-warn',
  failed: 'text-bad',
  skipped: 'text-faint',
};

function CheckLine({ check }: { readonly check: Check }): ReactNode {
  const { name, status, detail, remedy } = check;
  const todo = needsDoing(check);
  return (
    <li
      data-check={status}
      className={classes(
        'text-sm',
        todo && 'rounded-lg border border-line border-l-2 bg-panel px-3 py-2',
        status === 'warning' && 'border-l-warn',
        status === 'failed' && 'border-l-bad',
      )}
    >
      {/* What is fine takes one line. */}
      <div className={classes('gap-x-4', todo ? 'flex flex-col' : 'sm:grid sm:grid-cols-[14rem_minmax(0,1fr)]')}>
        <div className="flex min-w-0 items-baseline justify-between gap-x-2">
          <bdi className={classes('min-w-0 break-words', todo && 'font-medium')}>{safeName(name)}</bdi>
          <span className={classes('shrink-0 text-xs', WORDS[status])}>{text.doctor.states[status]}</span>
        </div>
        <p className="min-w-0 break-words text-muted">
          <Words>{detail}</Words>
        </p>
      </div>
      {todo && remedy !== undefined && (
        <p className="mt-1 break-words">
          <Words>{remedy}</Words>
        </p>
      )}
    </li>
  );
}

/** What stands between backticks is to be typed. */
const Words = ({ children }: { readonly children: string }): ReactNode =>
  safeText(children)
    .split(/`([^`\n]+)`/)
    .map((part, at) =>
      at % 2 === 0 ? (
        part
      ) : (
        // biome-ignore lint/suspicious/noArrayIndexKey: parts of a text stay in their order
        <code key={at} className="rounded-sm bg-sunken px-1 font-mono text-[0.8125rem] text-ink">
          {part}
        </code>
      ),
    );
