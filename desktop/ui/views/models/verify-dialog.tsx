// Reads the files of one model, or of all, and tells what is damaged and whether it was brought anew; and who signed them.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { VerifyAnswer } from '../../../../protocol/api/control.ts';
import { StateDot } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { Dialog } from '../../components/dialog.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field } from '../../components/field.tsx';
import { Foreign } from '../../components/node-name.tsx';
import { Switch } from '../../components/switch.tsx';
import { type ApiError, api } from '../../data/client.ts';
import { useTransfers } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { bytes, plural, safeName, safeText, shortId, shortModel } from '../../text/format.ts';
import { Progress } from './progress.tsx';
import type { ActedOn } from './queries.ts';
import { fractionOf, isRunning } from './transfer-words.ts';

type Report = VerifyAnswer['models'][number];

/** @param props.model undefined = all of this node */
export function VerifyDialog({
  model,
  onClose,
}: {
  readonly model?: ActedOn | undefined;
  readonly onClose: () => void;
}): ReactNode {
  const [repair, setRepair] = useState(true);
  const leaving = useRef(new AbortController());
  // Nobody reads on for a dialog that has been closed.
  useEffect(() => {
    const controller = new AbortController();
    leaving.current = controller;
    return () => controller.abort();
  }, []);
  const client = useQueryClient();
  const verify = useMutation<VerifyAnswer, ApiError>({
    // The model's page shows who signed it from then on.
    onSuccess: ({ models }) => {
      for (const { digest, signers } of models) client.setQueryData(['signers', digest], signers);
    },
    mutationFn: () =>
      api.post<VerifyAnswer>(
        '/api/v1/models/verify',
        { ...(model === undefined ? {} : { model: model.id }), repair },
        { signal: leaving.current.signal },
      ),
  });
  const { verify: words } = text.models;
  return (
    <Dialog
      open
      onClose={onClose}
      title={model === undefined ? words.titleAll : words.title(safeName(shortModel(model.id)))}
      description={words.description}
      footer={
        <>
          <Button onClick={onClose}>{text.common.close}</Button>
          <Button kind="primary" busy={verify.isPending} onClick={() => verify.mutate()}>
            {verify.data === undefined ? words.action : words.again}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <Field label={words.repair} inline>
          <Switch checked={repair} onChange={setRepair} />
        </Field>
        {verify.isPending && <Reading model={model} />}
        {verify.error !== null && <Failed error={verify.error} />}
        {verify.data !== undefined && !verify.isPending && (
          <ul aria-live="polite" className="divide-y divide-line rounded-md border border-line">
            {verify.data.models.map((report) => (
              <ReportLine key={report.digest} report={report} />
            ))}
          </ul>
        )}
      </div>
    </Dialog>
  );
}

function Reading({ model }: { readonly model: ActedOn | undefined }): ReactNode {
  const { data } = useTransfers();
  const now = data?.transfers.find(
    (transfer) => transfer.kind === 'repair' && isRunning(transfer) && (model?.id ?? transfer.model) === transfer.model,
  );
  return (
    <div role="status" className="flex flex-col gap-1.5 text-muted text-sm">
      <span>
        {text.models.verify.running}
        {now !== undefined && model === undefined && (
          <>
            {': '}
            <Foreign>{shortModel(now.model)}</Foreign>
          </>
        )}
      </span>
      <Progress
        label={text.models.verify.running}
        fraction={now === undefined ? undefined : fractionOf(now)}
        className="w-full"
      />
    </div>
  );
}

function ReportLine({ report }: { readonly report: Report }): ReactNode {
  const { verify: words } = text.models;
  const fine = report.damaged.length === 0;
  const state = fine ? words.fine : report.repaired ? words.repaired : words.damaged;
  const signers = report.signers.map(({ name, key }) => safeName(name ?? shortId(key)));
  return (
    <li className="px-3 py-2 text-sm">
      <p className="flex flex-wrap items-baseline justify-between gap-x-3">
        <Foreign className="min-w-0 truncate font-medium">{shortModel(report.id)}</Foreign>
        <StateDot tone={fine || report.repaired ? 'good' : 'bad'}>{state}</StateDot>
      </p>
      {report.damaged.map(({ path, chunks, bytes: size }) => (
        <p key={path} className="text-muted text-xs">
          <Foreign>{path}</Foreign>: {words.pieces(plural(chunks, 'piece'), bytes(size))}
        </p>
      ))}
      {report.reason !== undefined && <p className="text-bad text-xs">{safeText(report.reason)}</p>}
      <p className="text-faint text-xs">
        {words.signedBy} {signers.length === 0 ? words.unsigned : signers.join(', ')}
      </p>
    </li>
  );
}
