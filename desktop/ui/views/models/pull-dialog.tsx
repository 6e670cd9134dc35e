// Asks for a model by name and begins to pull it. The pull goes on by itself; how far it is stands above the lists.
import { type ReactNode, useState } from 'react';
import { Button } from '../../components/button.tsx';
import { Dialog } from '../../components/dialog.tsx';
import { told } from '../../components/failed.tsx';
import { Field, Input } from '../../components/field.tsx';
import { text } from '../../text/en.ts';
import { usePull } from './queries.ts';

const FORM = 'pull-form';

export function PullDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const [name, setName] = useState('');
  const pull = usePull();
  const { pull: words } = text.models;
  const problem = pull.error === null ? undefined : told(pull.error);
  return (
    <Dialog
      open
      onClose={onClose}
      title={words.title}
      description={words.description}
      footer={
        <>
          <Button onClick={onClose}>{text.common.cancel}</Button>
          <Button kind="primary" type="submit" form={FORM} busy={pull.isPending} disabled={name.trim() === ''}>
            {words.action}
          </Button>
        </>
      }
    >
      <form
        id={FORM}
        onSubmit={(event) => {
          event.preventDefault();
          pull.mutate(name, { onSuccess: onClose });
        }}
      >
        <Field
          label={words.name}
          hint={words.hint}
          error={problem === undefined ? undefined : [problem.what, problem.remedy].filter(Boolean).join(' ')}
        >
          <Input autoFocus value={name} placeholder="owner/name" onChange={({ target }) => setName(target.value)} />
        </Field>
      </form>
    </Dialog>
  );
}
