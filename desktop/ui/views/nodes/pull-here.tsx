// Bringing a model to a node, and what is on its way there.
import { useQueryClient } from '@tanstack/react-query';
import { Download } from 'lucide-react';
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import type { TransfersAnswer } from '../../../../protocol/api/control.ts';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { Field, Input } from '../../components/field.tsx';
import { Foreign } from '../../components/node-name.tsx';
import { useToast } from '../../components/toast.tsx';
import { type ApiError, api } from '../../data/client.ts';
import { nodePath, queryKey, useModels, useTransfers } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes, rate, safeName, safeText } from '../../text/format.ts';
import { fractionOf, isUnderWay } from './models-model.ts';

export interface PullHereProps {
  /** Undefined: the node behind the page. */
  readonly node: string | undefined;
  /** Models that are there already. */
  readonly here: readonly string[];
}

export function PullHere({ node, here }: PullHereProps): ReactNode {
  const [model, setModel] = useState('');
  const [problem, setProblem] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const suggestions = useId();
  const client = useQueryClient();
  const toast = useToast();
  const mesh = useModels().data?.models ?? [];
  const transfers = useMovingTransfers(node);
  const pull = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const wanted = model.trim();
    if (wanted === '' || busy) return;
    setBusy(true);
    setProblem(undefined);
    // This node answers when the model is here: its events tell how far it is meanwhile.
    const asked = api.post<{ accepted?: true }>(nodePath('models/pull', node), { model: wanted });
    if (node !== undefined) void client.invalidateQueries({ queryKey: queryKey('transfers', node) });
    try {
      const answer = await asked;
      const name = safeName(wanted);
      toast.done(answer.accepted === true ? text.nodes.pullStarted(name) : text.nodes.pulled(name));
      setModel('');
    } catch (error) {
      setProblem(error as ApiError);
    } finally {
      setBusy(false);
      for (const name of ['transfers', 'models', 'ps'] as const) {
        void client.invalidateQueries({ queryKey: queryKey(name, node) });
      }
    }
  };
  return (
    <Card title={text.nodes.pullTitle}>
      <form onSubmit={(event) => void pull(event)} className="flex flex-wrap items-start gap-2">
        <Field
          label={<span className="sr-only">{text.nodes.pullLabel}</span>}
          hint={text.nodes.pullHint}
          error={problem && `${safeText(problem.message)} ${safeText(problem.remedy)}`}
          className="min-w-52 grow"
        >
          <Input
            value={model}
            onChange={({ target }) => setModel(target.value)}
            list={suggestions}
            placeholder="owner/name"
          />
        </Field>
        <datalist id={suggestions}>
          {mesh
            .filter(({ id }) => !here.includes(id))
            .map(({ id }) => (
              <option key={id} value={id} />
            ))}
        </datalist>
        <Button
          type="submit"
          kind="primary"
          icon={<Download />}
          busy={busy}
          disabled={model.trim() === ''}
          className="mt-1"
        >
          {text.nodes.pull}
        </Button>
      </form>
      {transfers.length > 0 && (
        <ul aria-label={text.nodes.transfers} className="mt-4 flex flex-col gap-3 border-line border-t pt-3">
          {transfers.map((transfer) => (
            <TransferLine key={transfer.id} transfer={transfer} />
          ))}
        </ul>
      )}
    </Card>
  );
}

type Transfer = TransfersAnswer['transfers'][number];

function TransferLine({ transfer }: { readonly transfer: Transfer }): ReactNode {
  const { model, phase, doneBytes, totalBytes, bytesPerSecond, error } = transfer;
  const fraction = fractionOf(transfer);
  return (
    <li data-transfer={phase}>
      <div className="flex flex-wrap items-baseline gap-x-3 text-sm">
        <span className="min-w-0 truncate font-medium">
          <Foreign>{model}</Foreign>
        </span>
        <span className={phase === 'failed' ? 'text-bad' : 'text-muted'}>{text.nodes.phases[phase] ?? phase}</span>
        {phase === 'fetching' && (
          <span className="tabular ml-auto text-faint text-xs">
            {text.nodes.transferRate(bytes(doneBytes), bytes(totalBytes), rate(bytesPerSecond))}
          </span>
        )}
      </div>
      {error !== undefined && (
        <p className="mt-0.5 break-words text-bad text-xs">
          {safeText(error.message)} {safeText(error.remedy)}
        </p>
      )}
      {isUnderWay(transfer) && (
        <div
          role="progressbar"
          aria-label={safeName(model)}
          aria-valuemin={0}
          aria-valuemax={100}
          {...(fraction === undefined ? {} : { 'aria-valuenow': Math.round(fraction * 100) })}
          className="mt-1.5 h-1 overflow-hidden rounded-full bg-line"
        >
          <div
            className={fraction === undefined ? 'thread-busy h-full' : 'h-full bg-accent'}
            style={{ width: fraction === undefined ? '100%' : `${fraction * 100}%` }}
          />
        </div>
      )}
    </li>
  );
}

/** Those that run, and those that failed last. */
function useMovingTransfers(node: string | undefined): readonly Transfer[] {
  const transfers = useTransfers({ node }).data?.transfers ?? [];
  return transfers.filter((transfer) => isUnderWay(transfer) || transfer.phase === 'failed');
}
