// The API key: renewed here, and shown once. A new key signs out every browser; this one signs itself in again by it, so that the
// person still sees the key.
import { KeyRound } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { KeyAnswer } from '../../../../protocol/api/control.ts';
import { bridge } from '../../app/bridge.ts';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { ConfirmDialog, Dialog } from '../../components/dialog.tsx';
import { useToast } from '../../components/toast.tsx';
import { api } from '../../data/client.ts';
import { hub } from '../../data/events.ts';
import { useConfig } from '../../data/queries.ts';
import { queryClient } from '../../data/store.ts';
import { text } from '../../text/en.ts';

export function KeyCard(): ReactNode {
  const source = useConfig().data?.settings.find(({ name }) => name === 'apiKey')?.source;
  const fixed = source === 'flag' || source === 'environment';
  const [asking, setAsking] = useState(false);
  const [key, setKey] = useState<string>();
  const toast = useToast();
  const renew = async (): Promise<void> => {
    // The stream would be refused between the two steps, and the page leave before it shows the key.
    hub.stop('connecting');
    try {
      const { key: next } = await api.post<KeyAnswer>('/api/v1/key', {});
      setKey(next);
      if (bridge() === undefined) {
        await api.signIn({ key: next }).catch((error: unknown) => toast.failed(text.common.failed, error));
      }
      await queryClient.invalidateQueries({ queryKey: ['sessions'] });
    } finally {
      hub.start();
    }
  };
  return (
    <Card title={text.access.key}>
      <div className="flex flex-wrap items-start gap-x-6 gap-y-3">
        <p className="min-w-0 max-w-prose grow basis-72 text-muted text-sm">
          {fixed ? text.access.keyFixed : text.access.keyText}
        </p>
        <Button icon={<KeyRound />} disabled={fixed} onClick={() => setAsking(true)}>
          {text.access.keyRenew}
        </Button>
      </div>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={text.access.keyRenewTitle}
        description={text.access.keyRenewText}
        action={text.access.keyRenew}
        danger
        onConfirm={renew}
      />
      <Dialog
        open={key !== undefined && !asking}
        onClose={() => setKey(undefined)}
        title={text.access.keyNewTitle}
        description={text.access.keyNewText}
        footer={
          <Button kind="primary" onClick={() => setKey(undefined)}>
            {text.access.keyDone}
          </Button>
        }
      >
        <CodeBlock code={key ?? ''} label={text.access.keyLabel} copyLabel={text.access.keyCopy} />
      </Dialog>
    </Card>
  );
}
