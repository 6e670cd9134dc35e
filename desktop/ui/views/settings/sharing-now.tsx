// Whether this node computes for other members at this moment: no setting, but a state that ends with the node.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { SharingAnswer } from '../../../../protocol/api/control.ts';
import { Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Switch } from '../../components/switch.tsx';
import { useToast } from '../../components/toast.tsx';
import { type ApiError, api } from '../../data/client.ts';
import { queryKey, useSharing } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { Row } from './device-settings.tsx';

const PATH = '/api/v1/sharing';
const KEY = queryKey('sharing');

export function SharingNow(): ReactNode {
  const client = useQueryClient();
  const toast = useToast();
  const { data, error, refetch } = useSharing();
  const change = useMutation<SharingAnswer, ApiError, boolean>({
    mutationFn: (paused) => api.post<SharingAnswer>(PATH, { paused }),
    onSuccess: (answer) => client.setQueryData(KEY, answer),
    onError: (problem) => toast.failed(text.settings.failed, problem),
  });
  if (data === undefined) {
    return (
      <div className="p-4">
        {error === null ? <Skeleton lines={2} /> : <Failed error={error} onRetry={() => void refetch()} compact />}
      </div>
    );
  }
  return (
    <Row title={text.settings.sharing} about={text.settings.sharingAbout}>
      <Switch
        label={text.settings.sharing}
        checked={!data.paused}
        disabled={change.isPending}
        onChange={(on) => change.mutate(!on)}
      />
    </Row>
  );
}
