// What is on its way to this node: how far, from whom and how fast, who is not asked any more and why; and what ended lately.
import { RotateCw, X } from 'lucide-react';
import type { ReactNode } from 'react';
import type { TransferState } from '../../../../protocol/api/control.ts';
import { Button } from '../../components/button.tsx';
import { classes } from '../../components/class-names.ts';
import { Foreign, NodeName } from '../../components/node-name.tsx';
import { type NodeNames, useNodeNames, useTransfers } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes, percent, rate, safeText, shortModel } from '../../text/format.ts';
import { Progress } from './progress.tsx';
import { useCancel, usePull } from './queries.ts';
import {
  fractionOf,
  isRunning,
  isWorking,
  measures,
  orderedSources,
  phaseWords,
  type TransferSource,
} from './transfer-words.ts';

/** Those that run, and the last one where it failed: it may want something done. @param props.model only those of this one */
export function Transfers({ model }: { readonly model?: string }): ReactNode {
  const { data } = useTransfers();
  const names = useNodeNames();
  const all = (data?.transfers ?? []).filter((transfer) => model === undefined || transfer.model === model);
  const shown = all.filter((transfer, at) => isRunning(transfer) || (at === 0 && transfer.phase === 'failed'));
  if (shown.length === 0) return null;
  return (
    <section
      aria-label={text.models.transfers.title}
      className="mb-4 overflow-hidden rounded-lg border border-line bg-panel"
    >
      <ul>
        {shown.map((transfer) => (
          <li key={transfer.id} className="border-line border-b p-4 last:border-b-0">
            <Transfer transfer={transfer} names={names} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What became of those before. */
export function EndedTransfers(): ReactNode {
  const { data } = useTransfers();
  const ended = (data?.transfers ?? []).filter((transfer) => !isRunning(transfer));
  if (ended.length === 0) return null;
  return (
    <details className="mt-4 text-sm">
      <summary className="text-muted hover:text-ink">
        {text.models.transfers.lately}
        <span className="tabular ml-1.5 text-faint text-xs">{ended.length}</span>
      </summary>
      <ul className="mt-2 divide-y divide-line rounded-lg border border-line bg-panel">
        {ended.map((transfer) => (
          <li key={transfer.id} className="flex flex-wrap items-baseline gap-x-3 px-4 py-2">
            <Foreign className="min-w-0 truncate font-medium">{shortModel(transfer.model)}</Foreign>
            {transfer.kind !== 'pull' && (
              <span className="text-faint text-xs">{text.models.transfers.kinds[transfer.kind]}</span>
            )}
            <span className={transfer.phase === 'failed' ? 'text-bad' : 'text-muted'}>{phaseWords(transfer)}</span>
            <span className="tabular text-faint text-xs">{measures(transfer).join(' · ')}</span>
            {transfer.error !== undefined && (
              <span className="w-full text-muted text-xs">{safeText(transfer.error.message)}</span>
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Transfer({ transfer, names }: { readonly transfer: TransferState; readonly names: NodeNames }): ReactNode {
  const cancel = useCancel();
  const pull = usePull();
  const { id, model, kind, phase, sources, chosen, error } = transfer;
  const fraction = fractionOf(transfer);
  const running = isRunning(transfer);
  const { transfers } = text.models;
  return (
    <article aria-label={safeText(model)}>
      <div className="flex items-start gap-3">
        <div className="min-w-0 grow">
          <p className="flex flex-wrap items-baseline gap-x-2">
            <Foreign className="min-w-0 truncate font-semibold">{shortModel(model)}</Foreign>
            {kind !== 'pull' && <span className="text-faint text-xs">{transfers.kinds[kind]}</span>}
            <span role="status" className={classes('text-sm', phase === 'failed' ? 'text-bad' : 'text-muted')}>
              {phaseWords(transfer)}
            </span>
          </p>
        </div>
        {running ? (
          <Button
            size="small"
            icon={<X />}
            busy={cancel.isPending}
            aria-label={transfers.cancelOf(shortModel(model))}
            onClick={() => cancel.mutate(id)}
          >
            {transfers.cancel}
          </Button>
        ) : (
          kind === 'pull' && (
            <Button size="small" icon={<RotateCw />} busy={pull.isPending} onClick={() => pull.mutate(model)}>
              {transfers.again}
            </Button>
          )
        )}
      </div>
      {running && <Progress label={transfers.progress(safeText(model))} fraction={fraction} className="mt-2" />}
      <p className="tabular mt-1.5 flex flex-wrap gap-x-3 text-muted text-xs">
        {fraction !== undefined && running && <span className="font-medium text-ink">{percent(fraction)}</span>}
        {measures(transfer).map((measure) => (
          <span key={measure}>{measure}</span>
        ))}
      </p>
      {error !== undefined && (
        <p role="alert" className="mt-1 text-sm">
          <span className="text-bad">{safeText(error.message)}</span> {safeText(error.remedy)}
        </p>
      )}
      {sources.length > 0 && (
        <table aria-label={transfers.sources(safeText(model))} className="mt-2 w-full max-w-md text-xs">
          <tbody>
            {orderedSources(sources).map((source) => (
              <SourceRow key={`${source.kind} ${source.name}`} source={source} names={names} />
            ))}
          </tbody>
        </table>
      )}
      {chosen.length > 0 && running && (
        <p className="mt-2 max-w-prose text-faint text-xs">{chosen.map((line) => safeText(line)).join(' ')}</p>
      )}
    </article>
  );
}

function SourceRow({ source, names }: { readonly source: TransferSource; readonly names: NodeNames }): ReactNode {
  const { kind, name, state, reason } = source;
  const { transfers } = text.models;
  const fault = [transfers.states[state], reason === undefined ? '' : safeText(reason)].filter(Boolean).join(': ');
  return (
    <>
      <tr className="border-line border-t first:border-t-0">
        <th scope="row" className="w-full max-w-0 py-1 pr-3 text-left font-normal">
          {kind === 'peer' ? (
            <NodeName node={name} name={names.nameOf(name)} />
          ) : (
            <span className="flex min-w-0 items-center gap-1.5">
              <span aria-hidden className="size-2 shrink-0 rounded-full border border-faint" />
              <Foreign className="truncate">{name}</Foreign>
            </span>
          )}
        </th>
        <td className="whitespace-nowrap py-1 pr-4 text-right">{bytes(source.bytes)}</td>
        <td className="min-w-20 whitespace-nowrap py-1 text-right">
          {state === 'active' ? rate(source.bytesPerSecond) : state === 'idle' ? transfers.states.idle : ''}
        </td>
      </tr>
      {!isWorking(source) && (
        <tr>
          <td colSpan={3} className="pb-1 pl-3.5 text-bad">
            {fault}
          </td>
        </tr>
      )}
    </>
  );
}
