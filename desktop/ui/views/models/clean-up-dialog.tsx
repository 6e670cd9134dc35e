// Frees disk space: first tells what would be deleted, then deletes it.
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import type { CleanUpAnswer } from '../../../../protocol/api/control.ts';
import { Button } from '../../components/button.tsx';
import { Dialog } from '../../components/dialog.tsx';
import { Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field } from '../../components/field.tsx';
import { Switch } from '../../components/switch.tsx';
import { useToast } from '../../components/toast.tsx';
import { type ApiError, api } from '../../data/client.ts';
import { text } from '../../text/en.ts';
import { bytes, safeText } from '../../text/format.ts';

const GC = '/api/v1/models/gc';

export function CleanUpDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const [partial, setPartial] = useState(false);
  const toast = useToast();
  const { cleanUp: words } = text.models;
  const dry = useQuery<CleanUpAnswer, ApiError>({
    queryKey: ['clean-up', partial],
    queryFn: () => api.post<CleanUpAnswer>(GC, { dryRun: true, partial }),
    gcTime: 0,
    retry: false,
  });
  const clean = useMutation<CleanUpAnswer, ApiError>({
    mutationFn: () => api.post<CleanUpAnswer>(GC, { dryRun: false, partial }),
    onSuccess: ({ freedBytes }) => {
      toast.done(words.done(bytes(freedBytes)));
      onClose();
    },
  });
  const found = dry.data;
  return (
    <Dialog
      open
      onClose={onClose}
      title={words.title}
      description={words.description}
      footer={
        <>
          <Button onClick={onClose}>{text.common.cancel}</Button>
          <Button
            kind="primary"
            busy={clean.isPending}
            disabled={found === undefined || found.removed.length === 0}
            onClick={() => clean.mutate()}
          >
            {words.action(bytes(found?.freedBytes ?? 0))}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <Field label={words.partial} inline>
          <Switch checked={partial} onChange={setPartial} />
        </Field>
        {clean.error !== null && <Failed error={clean.error} />}
        {dry.error !== null && <Failed error={dry.error} onRetry={() => void dry.refetch()} />}
        {dry.isPending && <Skeleton lines={2} />}
        {found !== undefined && (
          <>
            {found.removed.length === 0 ? (
              <p className="text-sm">{words.nothing}</p>
            ) : (
              <ul
                aria-label={words.list}
                className="max-h-64 divide-y divide-line overflow-y-auto rounded-md border border-line"
              >
                {found.removed.map(({ what, bytes: size }) => (
                  <li key={what} className="flex gap-3 px-3 py-1.5 text-sm">
                    <bdi className="min-w-0 grow break-words">{safeText(what)}</bdi>
                    <span className="tabular shrink-0 text-muted">{bytes(size)}</span>
                  </li>
                ))}
              </ul>
            )}
            <p className="text-muted text-xs">
              {words.storage(
                bytes(found.storage.usedBytes),
                found.storage.quotaBytes === undefined ? '' : bytes(found.storage.quotaBytes),
                bytes(found.storage.freeBytes),
              )}
            </p>
          </>
        )}
      </div>
    </Dialog>
  );
}
